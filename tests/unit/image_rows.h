/* image_rows: the args of image jobs as JSON, for the tests of their rules. Include after cmocka.h. */
#ifndef TESTS_UNIT_IMAGE_ROWS_H
#define TESTS_UNIT_IMAGE_ROWS_H

#include "tests/unit/spec_rows.h"

#define SOURCE         "{\"source\": {\"path\": \"a\"}, \"outputs\": "
#define OUTPUT(fields) SOURCE "[{\"name\": \"a\", " fields "}]}"
#define OPS(ops)       OUTPUT("\"ops\": [" ops "]")
#define FORMAT(f)      "\"format\": \"" f "\""
#define AT_OUTPUT      "/args/outputs/0"
#define AT_OP          AT_OUTPUT "/ops/0"

/* What is told again and again. */
#define MUST_BE_SIDE   "must be an integer from 1 to 16384"
#define MUST_BE_COLOUR "must be a colour: \"#rrggbb\" or \"#rrggbbaa\""
#define MUST_BE_LENGTH(range) \
    "must be a whole number of pixels from " range ", or a part of the side between 0 and 1"
#define MUST_BE_POINT                                                                    \
    "must be one of center, north, south, east, west, northeast, northwest, southeast, " \
    "southwest"
#define MUST_BE_PLACE MUST_BE_POINT ", attention, entropy"

#endif
