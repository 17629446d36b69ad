#include "shared/metrics_process.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

/* Fields of /proc/self/stat behind the name, which may hold blanks: proc(5) counts from 1, and
 * the first behind the name is number 3. */
enum { FIELD_FIRST = 3, FIELD_UTIME = 14, FIELD_STIME = 15, FIELD_START = 22, FIELD_RSS = 24 };

static double read_boot_time(void)
{
    static const char key[] = "btime ";
    FILE *f = fopen("/proc/stat", "re");
    char *line = NULL;
    size_t size = 0;
    double found = 0;

    while (f != NULL && found == 0 && getline(&line, &size, f) > 0) {
        if (strncmp(line, key, sizeof key - 1) == 0)
            found = strtod(line + sizeof key - 1, NULL);
    }
    free(line);
    if (f != NULL)
        (void)fclose(f);
    return found;
}

void metrics_process_init(struct metrics_process *p)
{
    p->boot_time_s = read_boot_time();
    p->ticks_per_s = (double)sysconf(_SC_CLK_TCK);
    p->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t n = 0;

    if (dir == NULL)
        return 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): safe while threads have streams of their own */
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        n += e->d_name[0] != '.';
    (void)closedir(dir);
    return n - 1; /* the directory itself was one */
}

bool metrics_process_read(const struct metrics_process *p, struct metrics_process_values *ret)
{
    FILE *f = fopen("/proc/self/stat", "re");
    char text[1024];
    char *at;
    size_t len;
    uint64_t fields[FIELD_RSS + 1] = {0};

    if (f == NULL)
        return false;
    len = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[len] = '\0';
    at = strrchr(text, ')');
    if (at == NULL)
        return false;
    at += strcspn(at, " ");
    for (size_t i = FIELD_FIRST; i <= FIELD_RSS && *at != '\0'; i++) {
        at += 1;
        fields[i] = strtoull(at, NULL, 10); /* the one field that is a letter is not used */
        at += strcspn(at, " ");
    }
    ret->resident_bytes = fields[FIELD_RSS] * p->page_bytes;
    ret->open_fds = count_fds();
    ret->start_time_s = p->boot_time_s + (double)fields[FIELD_START] / p->ticks_per_s;
    ret->cpu_s = (double)(fields[FIELD_UTIME] + fields[FIELD_STIME]) / p->ticks_per_s;
    return true;
}
