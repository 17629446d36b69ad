/* The fields of every operation and of every output: each with its range at both ends, and what is told
 * beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/image_rows.h"

#define ARGS(fields) \
    "{\"source\": {\"path\": \"a\"}, \"outputs\": [{\"name\": \"a\"}], " fields "}"
#define AT AT_OP "/"

/* --- one field at a time --------------------------------------------------------------------- */

/* `%s` is where the value goes; a comma separates values. */
static const struct {
    const char *op, *field, *good, *bad, *text;
} fields[] = {
    {"resize", "width", "1 16384", "0 16385 -1 1.5 \"1\"", MUST_BE_SIDE},
    {"resize", "min_width", "1 16384", "0 16385", MUST_BE_SIDE},
    {"resize", "min_height", "1 16384", "0 16385", MUST_BE_SIDE},
    {"resize", "max_width", "1 16384", "0 16385", MUST_BE_SIDE},
    {"resize", "max_height", "1 16384", "0 16385", MUST_BE_SIDE},
    {"resize width", "dpr", "0.1 1 8", "0.09 8.01 0 \"2\"", "must be a number from 0.1 to 8"},
    {"resize width", "kernel",
     "\"auto\" \"nearest\" \"linear\" \"cubic\" \"mitchell\" \"lanczos2\" \"lanczos3\"",
     "\"lanczos\" 1",
     "must be one of auto, nearest, linear, cubic, mitchell, lanczos2, lanczos3"},
    {"resize width", "gravity", "{\"x\":0,\"y\":1} {\"x\":0.5,\"y\":0.25} \"attention\"", "1",
     MUST_BE_PLACE},
    {"extract", "left", "0 16384 0.5 1.0 0.0", "-1 16385 1.5 -0.1 \"1\"",
     MUST_BE_LENGTH("0 to 16384")},
    {"extract", "width", "1 16384 0.001", "0 16385 0.0", MUST_BE_LENGTH("1 to 16384")},
    {"trim", "threshold", "0 10 255", "-1 256", "must be a number from 0 to 255"},
    {"trim", "background", "\"#ffffff\"", "\"white\" 0", MUST_BE_COLOUR},
    {"pad", "all", "0 5 0.1", "-1 16385", MUST_BE_LENGTH("0 to 16384")},
    {"extend", "width", "1 16384", "0 16385", MUST_BE_SIDE},
    {"extend", "aspect", "\"16:9\" \"1:1\" 1 0.01 100",
     "\"16/9\" \"0:1\" \"1:\" \":1\" \"1:1000\" 0 101 \"a:b\" \"-1:1\"", NULL},
    {"extend width", "gravity", "\"north\"", "\"attention\"", MUST_BE_POINT},
    {"rotate", "angle", "-360 0 12.5 360", "-361 361 \"90\"",
     "must be a number from -360 to 360"},
    {"round", "radius", "0 8192 0.5", "-1 8193", MUST_BE_LENGTH("0 to 8192")},
    {"circle", "gravity", "\"attention\" {\"x\":0,\"y\":0}", "\"middle\"", MUST_BE_PLACE},
    {"blur", "sigma", "0.3 100", "0.2 101", "must be a number from 0.3 to 100"},
    {"sharpen", "sigma", "0.3 10", "0.2 11", "must be a number from 0.3 to 10"},
    {"pixelate", "size", "2 1024", "1 1025 2.5", "must be an integer from 2 to 1024"},
    {"brightness", "amount", "0 10", "-0.1 10.1", "must be a number from 0 to 10"},
    {"contrast", "amount", "0 10", "-0.1 10.1", "must be a number from 0 to 10"},
    {"saturation", "amount", "0 10", "-0.1 10.1", "must be a number from 0 to 10"},
    {"hue", "degrees", "-360 360", "-361 361", "must be a number from -360 to 360"},
    {"gamma", "exponent", "0.1 10", "0.09 11", "must be a number from 0.1 to 10"},
    {"sepia", "amount", "0 1", "-1 1.1", "must be a number from 0 to 1"},
    {"tint", "colour", "\"#010203\"", "\"red\"", MUST_BE_COLOUR},
    {"duotone", "shadow", "\"#010203\"", "1", MUST_BE_COLOUR},
    {"duotone", "highlight", "\"#010203\"", "1", MUST_BE_COLOUR},
    {"normalise", "lower", "0 49", "-1 50", "must be a number from 0 to 49"},
    {"normalise", "upper", "51 100", "50 101", "must be a number from 51 to 100"},
    {"flatten", "background", "\"#010203\"", "1", MUST_BE_COLOUR},
    {"text", "text", "\"a\" \"<b>\"", "\"\" 1", "must be a string of 1 to 2000 bytes"},
    {"text text", "size", "4 1000", "3 1001", "must be an integer from 4 to 1000"},
    {"text text", "stroke", "0 20", "21 -1", "must be an integer from 0 to 20"},
    {"text text", "font", "\"sans\" \"DejaVu-Sans\"",
     "\"sans,serif\" \"-x\" \"a:b\" \"sans12\"",
     "must be the name of a font family: letters, spaces, '-'"},
    {"text text", "opacity", "0 1", "-0.1 1.1", "must be a number from 0 to 1"},
    {"text text", "x", "-16384 16384", "-16385 16385 0.5",
     "must be an integer from -16384 to 16384"},
    {"text text", "align", "\"left\" \"center\" \"right\"", "\"justify\"",
     "must be one of left, center, right"},
    {"text text", "wrap", "1 0.5", "0 16385", MUST_BE_LENGTH("1 to 16384")},
    {"text text", "bold", "true false", "1", "must be true or false"},
    {"watermark source", "scale", "0.01 1", "0 1.1", "must be a number from 0.01 to 1"},
    {"watermark source tile", "spacing", "0 4096", "4097 -1",
     "must be an integer from 0 to 4096"},
    {"watermark source", "opacity", "0 1", "-0.1 1.1", "must be a number from 0 to 1"},
    {"watermark source", "tile", "true", "\"yes\"", "must be true or false"},
};

/* What an operation must have beside the field that is looked at. */
static const char *companion(const char *op)
{
    if (strstr(op, " width") != NULL)
        return "\"width\": 1, ";
    if (strstr(op, " text") != NULL)
        return "\"text\": \"a\", ";
    if (strstr(op, " tile") != NULL)
        return "\"source\": {\"path\": \"m\"}, \"tile\": true, ";
    return strstr(op, " source") != NULL ? "\"source\": {\"path\": \"m\"}, " : "";
}

static void check_value(size_t row, const char *value, bool good)
{
    char json[512], pointer[160], name[32];
    struct spec_fault told = {"", ""};
    struct doc d;
    enum err e;

    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(fields[row].op, " "),
                   fields[row].op);
    (void)snprintf(json, sizeof json, OPS("{\"%s\": {%s\"%s\": %s}}"), name,
                   companion(fields[row].op), fields[row].field, value);
    (void)snprintf(pointer, sizeof pointer, AT "%s/%s", name, fields[row].field);
    doc_open(&d, json);
    e = spec_find("image")->check(&d.root, "/args", &told);
    doc_close(&d);
    if (good && e != ERR_OK)
        fail_msg("%s\n  refused: %s %s", json, told.pointer, told.text);
    if (!good && (e != ERR_MALFORMED || strcmp(told.pointer, pointer) != 0 ||
                  (fields[row].text != NULL && strcmp(told.text, fields[row].text) != 0)))
        fail_msg("%s\n  told: %s %s\n  want: %s %s", json, told.pointer, told.text, pointer,
                 fields[row].text);
}

static void check_values(size_t row, const char *list, bool good)
{
    char values[256];

    (void)snprintf(values, sizeof values, "%s", list);
    for (char *at = values; *at != '\0';) {
        size_t n = strcspn(at, " ");
        bool last = at[n] == '\0';

        at[n] = '\0';
        check_value(row, at, good);
        at += n + (last ? 0 : 1);
    }
}

static void each_field_has_its_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        check_values(i, fields[i].good, true);
        check_values(i, fields[i].bad, false);
    }
}

/* --- fields together ------------------------------------------------------------------------- */

static void operations_say_what_they_lack(void **state)
{
    static const struct row rows[] = {
        {OPS("{\"resize\": {\"max_width\": 100}}"), NULL, NULL},
        {OPS("{\"extract\": {\"top\": 0.0}}, {\"trim\": {}}, {\"flip\": {}}, {\"flop\": {}}, "
             "{\"circle\": "
             "{}}, "
             "{\"grayscale\": {}}, {\"negate\": {}}, {\"normalise\": {}}, {\"flatten\": {}}, "
             "{\"duotone\": {}}, {\"sepia\": {}}, {\"gamma\": {}}, {\"sharpen\": {}}"),
         NULL, NULL},
        {OPS("{\"resize\": {\"dpr\": 2}}"), AT "resize",
         "must have width or height, or a min_ or max_ side"},
        {OPS("{\"resize\": {\"min_width\": 9, \"max_width\": 8}}"), AT "resize",
         "must not have a min_width above its max_width"},
        {OPS("{\"resize\": {\"min_height\": 9, \"max_height\": 8}}"), AT "resize",
         "must not have a min_height above its max_height"},
        {OPS("{\"resize\": {\"width\": 9, \"gravity\": {\"x\": 0.5}}}"), AT "resize/gravity/y",
         "is required"},
        {OPS("{\"resize\": {\"width\": 9, \"gravity\": {\"x\": 0.5, \"y\": 2}}}"),
         AT "resize/gravity/y", "must be a number from 0 to 1"},
        {OPS("{\"pad\": {\"background\": \"#000000\"}}"), AT "pad",
         "must have all, or one of top, right, bottom, left"},
        {OPS("{\"extract\": {\"gravity\": \"north\"}}"), AT "extract",
         "must have left, top, width or height"},
        {OPS("{\"extend\": {}}"), AT "extend", "must have width, height or aspect"},
        {OPS("{\"rotate\": {}}"), AT "rotate/angle", "is required"},
        {OPS("{\"round\": {}}"), AT "round/radius", "is required"},
        {OPS("{\"blur\": {}}"), AT "blur/sigma", "is required"},
        {OPS("{\"pixelate\": {}}"), AT "pixelate/size", "is required"},
        {OPS("{\"brightness\": {}}"), AT "brightness/amount", "is required"},
        {OPS("{\"hue\": {}}"), AT "hue/degrees", "is required"},
        {OPS("{\"tint\": {}}"), AT "tint/colour", "is required"},
        {OPS("{\"text\": {}}"), AT "text/text", "is required"},
        {OPS("{\"text\": {\"text\": \" \\n\"}}"), AT "text/text", "must have more than spaces"},
        {OPS("{\"watermark\": {}}"), AT "watermark/source", "is required"},
        {OPS("{\"watermark\": {\"source\": {}}}"), AT "watermark/source",
         "must have exactly one of upload, url, path"},
        {OPS("{\"watermark\": {\"source\": {\"path\": \"m\"}, \"tile\": true, \"x\": -3, "
             "\"spacing\": 4}}"),
         NULL, NULL},
        {OPS("{\"watermark\": {\"source\": {\"path\": \"m\"}, \"tile\": true, \"gravity\": "
             "\"north\"}}"),
         AT "watermark/gravity", "does not go with tile; x and y shift the pattern"},
        {OPS("{\"watermark\": {\"source\": {\"path\": \"m\"}, \"spacing\": 4}}"),
         AT "watermark/spacing", "needs \"tile\": true"},
        {OPS("{\"flip\": {\"x\": 1}}"), AT "flip/x", "is not a known field; known here: none"},
        {OPS("{\"flip\": 1}"), AT "flip", "must be an object"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

static void options_go_with_their_formats(void **state)
{
    static const struct row rows[] = {
        {OUTPUT(FORMAT("jpeg") ", \"progressive\": true, \"optimise\": true, \"chroma\": "
                               "\"4:4:4\", \"quality\": 90, \"max_bytes\": 256"),
         NULL, NULL},
        {OUTPUT(FORMAT("png") ", \"palette\": true, \"colours\": 2, \"dither\": 0.5, "
                              "\"compression\": 9, \"progressive\": true"),
         NULL, NULL},
        {OUTPUT(FORMAT("webp") ", \"near_lossless\": 60, \"effort\": 6"), NULL, NULL},
        {OUTPUT(FORMAT("avif") ", \"lossless\": true, \"effort\": 4"), NULL, NULL},
        {OUTPUT(FORMAT("gif") ", \"colours\": 16, \"dither\": 0, \"effort\": 10"), NULL, NULL},
        {OUTPUT(FORMAT("tiff") ", \"tiff_compression\": \"jpeg\", \"quality\": 50"), NULL,
         NULL},
        {OUTPUT(FORMAT("auto") ", \"quality\": 50, \"candidates\": [\"jpeg\", \"webp\"]"), NULL,
         NULL},
        {OUTPUT(FORMAT("webp") ", \"progressive\": true"), AT_OUTPUT "/progressive",
         "does not go with webp; it is for jpeg, png"},
        {OUTPUT("\"progressive\": true"), AT_OUTPUT "/progressive",
         "needs a format beside it: jpeg, png"},
        {OUTPUT(FORMAT("auto") ", \"effort\": 1"), AT_OUTPUT "/effort",
         "needs a format beside it: png, webp, avif, gif"},
        {OUTPUT(FORMAT("avif") ", \"effort\": 5"), AT_OUTPUT "/effort",
         "must be an integer from 0 to 4 for avif"},
        {OUTPUT(FORMAT("webp") ", \"effort\": 7"), AT_OUTPUT "/effort",
         "must be an integer from 0 to 6 for webp"},
        {OUTPUT(FORMAT("png") ", \"palette\": true, \"effort\": 10"), NULL, NULL},
        {OUTPUT(FORMAT("png") ", \"effort\": 3"), AT_OUTPUT "/effort",
         "needs \"palette\": true"},
        {OUTPUT(FORMAT("png") ", \"palette\": true, \"effort\": 0"), AT_OUTPUT "/effort",
         "must be an integer from 1 to 10 for png"},
        {OUTPUT(FORMAT("gif") ", \"effort\": 0"), AT_OUTPUT "/effort",
         "must be an integer from 1 to 10 for gif"},
        {OUTPUT(FORMAT("png") ", \"max_bytes\": 1000"), AT_OUTPUT "/max_bytes",
         "does not go with png; it is for jpeg, webp, avif"},
        {OUTPUT(FORMAT("webp") ", \"max_bytes\": 1000, \"lossless\": true"),
         AT_OUTPUT "/max_bytes", "does not go with lossless: there is no quality to lower"},
        {OUTPUT("\"max_bytes\": 255"), AT_OUTPUT "/max_bytes",
         "must be an integer from 256 to 536870912"},
        {OUTPUT(FORMAT("jpeg") ", \"candidates\": [\"jpeg\"]"), AT_OUTPUT "/candidates",
         "needs \"format\": \"auto\""},
        {OUTPUT(FORMAT("auto") ", \"candidates\": []"), AT_OUTPUT "/candidates",
         "must be an array of 1 to 4 items"},
        {OUTPUT(FORMAT("auto") ", \"candidates\": [\"gif\"]"), AT_OUTPUT "/candidates/0",
         "must be one of jpeg, png, webp, avif"},
        {OUTPUT(FORMAT("png") ", \"colours\": 1"), AT_OUTPUT "/colours",
         "must be an integer from 2 to 256"},
        {OUTPUT(FORMAT("jpeg") ", \"chroma\": \"4:2:2\""), AT_OUTPUT "/chroma",
         "must be one of auto, 4:2:0, 4:4:4"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

/* What would change nothing is refused. */
static void options_go_with_each_other(void **state)
{
    static const struct row rows[] = {
        {OUTPUT(FORMAT("png") ", \"colours\": 16"), AT_OUTPUT "/colours",
         "needs \"palette\": true"},
        {OUTPUT(FORMAT("png") ", \"palette\": false, \"dither\": 0"), AT_OUTPUT "/dither",
         "needs \"palette\": true"},
        {OUTPUT(FORMAT("webp") ", \"lossless\": true, \"quality\": 50"), AT_OUTPUT "/quality",
         "does not go with lossless: there is no quality to choose"},
        {OUTPUT(FORMAT("avif") ", \"lossless\": true, \"quality\": 50"), AT_OUTPUT "/quality",
         "does not go with lossless: there is no quality to choose"},
        {OUTPUT(FORMAT("webp") ", \"near_lossless\": 60, \"quality\": 50"),
         AT_OUTPUT "/quality", "does not go with lossless: there is no quality to choose"},
        {OUTPUT(FORMAT("webp") ", \"near_lossless\": 60, \"lossless\": true"),
         AT_OUTPUT "/near_lossless", "does not go with lossless: it is one or the other"},
        {OUTPUT(FORMAT("tiff") ", \"quality\": 50"), AT_OUTPUT "/quality",
         "needs \"tiff_compression\": \"jpeg\""},
        {OUTPUT(FORMAT("webp") ", \"lossless\": false, \"quality\": 50"), NULL, NULL},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

static void the_job_has_switches(void **state)
{
    static const struct row rows[] = {
        {ARGS("\"describe\": true, \"gps\": true, \"animated\": false, \"page\": 3, "
              "\"profile\": "
              "\"keep\", \"fidelity\": \"high\""),
         NULL, NULL},
        {ARGS("\"page\": -1"), "/args/page", "must be an integer from 0 to 9999"},
        {ARGS("\"page\": 10000"), "/args/page", "must be an integer from 0 to 9999"},
        {ARGS("\"profile\": \"p3\""), "/args/profile", "must be one of srgb, keep"},
        {ARGS("\"fidelity\": \"low\""), "/args/fidelity", "must be one of normal, high"},
        {ARGS("\"animated\": 1"), "/args/animated", "must be true or false"},
        {ARGS("\"describe\": 1"), "/args/describe", "must be true or false"},
    };
    static const struct row info[] = {
        {"{\"source\": {\"path\": \"a\"}}", NULL, NULL},
        {"{\"source\": {\"path\": \"a\"}, \"gps\": true, \"page\": 1}", NULL, NULL},
        {"{}", "/args/source", "is required"},
        {"{\"source\": {\"path\": \"a\"}, \"outputs\": []}", "/args/outputs",
         "is not a known field; known here: source, gps, page"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
    check_rows("image.info", info, COUNT_OF(info));
}

/* --- watermarks ------------------------------------------------------------------------------ */

static void watermarks_of_one_file_share_it(void **state)
{
    static const char json[] =
        SOURCE "[{\"name\": \"a\", \"ops\": [{\"watermark\": {\"source\": {\"path\": \"m\"}}}, "
               "{\"watermark\": {\"source\": {\"path\": \"n\"}}}]}, {\"name\": \"b\", \"ops\": "
               "[{\"watermark\": {\"source\": {\"path\": \"n\"}, \"tile\": true}}]}]}";
    struct spec_image *image = malloc(sizeof *image);
    struct doc d;

    (void)state;
    assert_non_null(image);
    doc_open(&d, json);
    assert_int_equal(spec_image_any_parse(&d.root, "/args", image, NULL), ERR_OK);
    assert_int_equal(image->n_marks, 2);
    assert_true(slice_is(image->marks[1].text, "n"));
    assert_int_equal(image->outputs[0].ops[0].u.watermark.mark, 0);
    assert_int_equal(image->outputs[0].ops[1].u.watermark.mark, 1);
    assert_int_equal(image->outputs[1].ops[0].u.watermark.mark, 1);
    assert_true(image->outputs[1].ops[0].u.watermark.tile);
    doc_close(&d);
    free(image);
}

static void files_of_watermarks_are_limited(void **state)
{
    struct buf json = {0};
    (void)state;

    for (int n = SPEC_IMAGE_MARKS_MAX; n <= SPEC_IMAGE_MARKS_MAX + 1; n++) {
        struct spec_fault told = {"", ""};
        struct doc d;
        enum err e;

        buf_clear(&json);
        buf_add_str(&json, SOURCE "[{\"name\": \"a\", \"ops\": [");
        for (int i = 0; i < n; i++) {
            char op[96];

            (void)snprintf(op, sizeof op,
                           "%s{\"watermark\": {\"source\": {\"path\": \"m%d\"}}}",
                           i > 0 ? "," : "", i);
            buf_add_str(&json, op);
        }
        buf_add_str(&json, "]}]}");
        buf_add_char(&json, '\0');
        doc_open(&d, json.data);
        e = spec_find("image")->check(&d.root, "/args", &told);
        assert_int_equal(e, n > SPEC_IMAGE_MARKS_MAX ? ERR_MALFORMED : ERR_OK);
        if (e != ERR_OK) {
            assert_string_equal(told.pointer, AT_OUTPUT "/ops/8");
            assert_string_equal(
                told.text, "is one too many: watermarks may come from 8 files (IMAGE_MARKS)");
        }
        doc_close(&d);
    }
    buf_done(&json);
}

/* Last: they hold for all that is parsed from then on. */
static void an_operator_may_take_fewer(void **state)
{
    static const struct row rows[] = {
        {SOURCE "[{\"name\": \"a\"}, {\"name\": \"b\"}]}", NULL, NULL},
        {SOURCE "[{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\"}]}", "/args/outputs",
         "has 3 items, at most 2 are taken (IMAGE_OUTPUTS)"},
        {OPS("{\"flip\": {}}"), NULL, NULL},
        {OPS("{\"flip\": {}}, {\"flop\": {}}"), AT_OUTPUT "/ops",
         "has 2 items, at most 1 are taken (IMAGE_OPS)"},
        {OPS("{\"watermark\": {\"source\": {\"path\": \"m\"}}}"), AT_OP,
         "is one too many: watermarks may come from 0 files (IMAGE_MARKS)"},
    };
    (void)state;

    spec_image_set_limits(&(struct spec_image_limits){.outputs = 2, .ops = 1, .marks = 0});
    check_rows("image", rows, COUNT_OF(rows));
    /* Never more than there is room for. */
    spec_image_set_limits(&(struct spec_image_limits){.outputs = 99, .ops = 99, .marks = 99});
    check_rows("image",
               &(struct row){OPS("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}"),
                             AT_OUTPUT "/ops",
                             "has 17 items, at most 16 are taken (IMAGE_OPS)"},
               1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_has_its_range),
        cmocka_unit_test(operations_say_what_they_lack),
        cmocka_unit_test(options_go_with_their_formats),
        cmocka_unit_test(options_go_with_each_other),
        cmocka_unit_test(the_job_has_switches),
        cmocka_unit_test(watermarks_of_one_file_share_it),
        cmocka_unit_test(files_of_watermarks_are_limited),
        cmocka_unit_test(an_operator_may_take_fewer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
