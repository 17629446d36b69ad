#include "cli/run.h"

int main(int argc, char **argv)
{
    return (int)cli_run(argc, argv, stdout, stderr);
}
