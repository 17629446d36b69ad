/* What an image job takes, and how it says what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/image_rows.h"

#define UPLOAD         "019a0b5c-7d3e-7abc-8def-0123456789ab"
#define RESIZE(fields) OPS("{\"resize\": " fields "}")
#define FROM(source)   "{\"outputs\": [{\"name\": \"a\"}], \"source\": " source "}"

static void image_sources_are_one_of_three(void **state)
{
#define ONE_OF "must have exactly one of upload, url, path"
#define AN_ID  "must be the id of an upload, as POST /v1/uploads gives it"
    static const struct row rows[] = {
        {FROM("{\"upload\": \"" UPLOAD "\"}"), NULL, NULL},
        {FROM("{\"url\": \"https://a/b\"}"), NULL, NULL},
        {FROM("{\"path\": \"in/a..b.jpg\"}"), NULL, NULL},
        {"{\"outputs\": [{\"name\": \"a\"}]}", "/args/source", "is required"},
        {FROM("{}"), "/args/source", ONE_OF},
        {FROM("{\"url\": \"http://a/\", \"path\": \"b\"}"), "/args/source", ONE_OF},
        {FROM("\"a\""), "/args/source", "must be an object"},
        {FROM("{\"upload\": \"x\"}"), "/args/source/upload", AN_ID},
        {FROM("{\"upload\": 1}"), "/args/source/upload", AN_ID},
        {FROM("{\"url\": \"file:///etc/passwd\"}"), "/args/source/url", ABSOLUTE},
        {FROM("{\"path\": \"../b\"}"), "/args/source/path", "must not contain \"..\""},
        {FROM("{\"path\": \"a/../b\"}"), "/args/source/path", "must not contain \"..\""},
        {FROM("{\"path\": \"a/..\"}"), "/args/source/path", "must not contain \"..\""},
        {FROM("{\"path\": \"a\\nb\"}"), "/args/source/path",
         "must not contain control characters or line ends"},
        {FROM("{\"base64\": \"b\"}"), "/args/source/base64",
         "is not a known field; known here: upload, url, path"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

static void image_outputs_follow_the_rules(void **state)
{
#define FORMATS  "must be one of jpeg, png, webp, avif, gif, tiff, auto"
#define OUT_NAME "must be 1 to 64 of a-z, 0-9, '.', '_' and '-', first a letter or digit"
    static const struct row rows[] = {
        {SOURCE "[{\"name\": \"2x.a-b_c\"}], \"auto_orient\": false}", NULL, NULL},
        {OUTPUT("\"format\": \"jpg\", \"quality\": 1"), NULL, NULL},
        {OUTPUT("\"format\": \"avif\", \"quality\": 100"), NULL, NULL},
        {OUTPUT("\"quality\": 50"), NULL, NULL},
        {OUTPUT("\"ops\": []"), NULL, NULL},
        {"{\"source\": {\"path\": \"a\"}}", "/args/outputs", "is required"},
        {SOURCE "[]}", "/args/outputs", "must be an array of 1 to 32 items"},
        {SOURCE "{}}", "/args/outputs", "must be an array of 1 to 32 items"},
        {SOURCE "[{}]}", AT_OUTPUT "/name", "is required"},
        {SOURCE "[{\"name\": \"\"}]}", AT_OUTPUT "/name", OUT_NAME},
        {SOURCE "[{\"name\": \"..\"}]}", AT_OUTPUT "/name", OUT_NAME},
        {SOURCE "[{\"name\": \"a/b\"}]}", AT_OUTPUT "/name", OUT_NAME},
        {SOURCE "[{\"name\": \"A\"}]}", AT_OUTPUT "/name", OUT_NAME},
        {SOURCE "[{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"a\"}]}",
         "/args/outputs/2/name", "must be unique: another output has this name"},
        {OUTPUT("\"format\": \"heif\""), AT_OUTPUT "/format", FORMATS},
        {OUTPUT("\"format\": \"JPEG\""), AT_OUTPUT "/format", FORMATS},
        {OUTPUT("\"format\": 1"), AT_OUTPUT "/format", FORMATS},
        {OUTPUT("\"quality\": 0"), AT_OUTPUT "/quality", "must be an integer from 1 to 100"},
        {OUTPUT("\"quality\": 101"), AT_OUTPUT "/quality", "must be an integer from 1 to 100"},
        {OUTPUT("\"quality\": 80, \"format\": \"png\""), AT_OUTPUT "/quality",
         "does not go with png; it is for jpeg, webp, avif, tiff"},
        {OUTPUT("\"width\": 80"), AT_OUTPUT "/width",
         "is not a known field; known here: name, ops, format, quality, max_bytes, candidates, "
         "progressive, optimise, chroma, palette, colours, dither, compression, lossless, "
         "near_lossless, effort, tiff_compre"},
        {SOURCE "[{\"name\": \"a\"}], \"auto_orient\": 1}", "/args/auto_orient",
         "must be true or false"},
        {SOURCE "[{\"name\": \"a\"}], \"then\": []}", "/args/then",
         "is not a known field; known here: source, outputs, srcset, auto_orient, describe, "
         "gps, "
         "animated, page, profile, fidelity"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

#define SRCSET(fields) "{\"source\": {\"path\": \"a\"}, \"srcset\": {" fields "}}"
#define W8             "1, 2, 3, 4, 5, 6, 7, 8"

static void image_srcsets_follow_the_rules(void **state)
{
#define AT_SET "/args/srcset"
    static const struct row rows[] = {
        {SRCSET("\"widths\": [16384, 1], \"formats\": [\"webp\", \"jpg\", \"png\"], "
                "\"quality\": 1,"
                "\"sizes\": \"(max-width: 600px) 100vw, 50vw\""),
         NULL, NULL},
        {SRCSET("\"widths\": [" W8 "], \"formats\": [\"webp\", \"jpeg\", \"png\", \"avif\"]"),
         NULL, NULL},
        {SRCSET("\"formats\": [\"webp\"]"), AT_SET "/widths", "is required"},
        {SRCSET("\"widths\": [1]"), AT_SET "/formats", "is required"},
        {SRCSET("\"widths\": [], \"formats\": [\"webp\"]"), AT_SET "/widths",
         "must be an array of 1 to 16 items"},
        {SRCSET("\"widths\": [" W8
                ", 9, 10, 11, 12, 13, 14, 15, 16, 17], \"formats\": [\"webp\"]"),
         AT_SET "/widths", "must be an array of 1 to 16 items"},
        {SRCSET("\"widths\": [" W8
                ", 9], \"formats\": [\"webp\", \"jpeg\", \"png\", \"avif\"]"),
         AT_SET,
         "makes 36 outputs (widths times formats), at most 32 are made (IMAGE_OUTPUTS)"},
        {SRCSET("\"widths\": [0], \"formats\": [\"webp\"]"), AT_SET "/widths/0",
         "must be an integer from 1 to 16384"},
        {SRCSET("\"widths\": [1, 16385], \"formats\": [\"webp\"]"), AT_SET "/widths/1",
         "must be an integer from 1 to 16384"},
        {SRCSET("\"widths\": [7, 7], \"formats\": [\"webp\"]"), AT_SET "/widths/1",
         "must be unique: this width is there already"},
        {SRCSET("\"widths\": [7], \"formats\": []"), AT_SET "/formats",
         "must be an array of 1 to 4 items"},
        {SRCSET("\"widths\": [7], \"formats\": [\"jpeg\", \"jpg\"]"), AT_SET "/formats/1",
         "must be unique: this format is there already"},
        {SRCSET("\"widths\": [7], \"formats\": [\"bmp\"]"), AT_SET "/formats/0",
         "must be a format that outputs may have"},
        {SRCSET("\"widths\": [7], \"formats\": [\"heif\"]"), AT_SET "/formats", FORMATS},
        {SRCSET("\"widths\": [7], \"formats\": [\"png\"], \"quality\": 101"), AT_SET "/quality",
         "must be an integer from 1 to 100"},
        {SRCSET("\"widths\": [7], \"formats\": [\"png\"], \"sizes\": \"a\\nb\""),
         AT_SET "/sizes", "must not contain control characters or line ends"},
        {SRCSET("\"widths\": [7], \"formats\": [\"png\"], \"height\": 1"), AT_SET "/height",
         "is not a known field; known here: widths, formats, quality, sizes"},
        {SOURCE "[{\"name\": \"a\"}], \"srcset\": {\"widths\": [7], \"formats\": [\"png\"]}}",
         AT_SET, "stands instead of outputs, not beside them"},
        {"{\"srcset\": {\"widths\": [7], \"formats\": [\"png\"]}, \"outputs\": [{\"name\": "
         "\"a\"}],"
         " \"source\": {\"path\": \"a\"}}",
         "/args/outputs", "stands instead of srcset, not beside it"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

static void image_operations_follow_the_rules(void **state)
{
#define ONE_OP "must be an object with one key, the operation"
#define SIGMA  "must be a number from 0.3 to 10"
    static const struct row rows[] = {
        {RESIZE("{\"width\": 16384}"), NULL, NULL},
        {RESIZE(
             "{\"height\": 1, \"fit\": \"fill\", \"gravity\": \"entropy\", \"enlarge\": true, "
             "\"background\": \"#0aF1b2\"}"),
         NULL, NULL},
        {OPS("{\"sharpen\": {}}, {\"sharpen\": {\"sigma\": 10}}, {\"sharpen\": {\"sigma\": "
             "0.3}}"),
         NULL, NULL},
        {OUTPUT("\"ops\": {}"), AT_OUTPUT "/ops", "must be an array of 0 to 16 items"},
        {OPS("\"resize\""), AT_OP, ONE_OP},
        {OPS("{}"), AT_OP, ONE_OP},
        {OPS("{\"sharpen\": {}, \"resize\": {\"width\": 1}}"), AT_OP, ONE_OP},
        {OPS("{\"sharpen\": {}}, {\"blurr\": {}}"), AT_OUTPUT "/ops/1/blurr",
         "is no operation; docs/images.md lists them"},
        {RESIZE("[]"), AT_OP "/resize", "must be an object"},
        {RESIZE("{}"), AT_OP "/resize", "must have width or height, or a min_ or max_ side"},
        {RESIZE("{\"fit\": \"cover\"}"), AT_OP "/resize",
         "must have width or height, or a min_ or max_ side"},
        {RESIZE("{\"width\": 0}"), AT_OP "/resize/width", MUST_BE_SIDE},
        {RESIZE("{\"height\": 16385}"), AT_OP "/resize/height", MUST_BE_SIDE},
        {RESIZE("{\"width\": 1.5}"), AT_OP "/resize/width", MUST_BE_SIDE},
        {RESIZE("{\"width\": 1, \"fit\": \"crop\"}"), AT_OP "/resize/fit",
         "must be one of inside, outside, cover, contain, fill"},
        {RESIZE("{\"width\": 1, \"gravity\": \"centre\"}"), AT_OP "/resize/gravity",
         MUST_BE_PLACE},
        {RESIZE("{\"width\": 1, \"enlarge\": \"yes\"}"), AT_OP "/resize/enlarge",
         "must be true or false"},
        {RESIZE("{\"width\": 1, \"background\": \"#fff\"}"), AT_OP "/resize/background",
         MUST_BE_COLOUR},
        {RESIZE("{\"width\": 1, \"background\": \"#ffffgg\"}"), AT_OP "/resize/background",
         MUST_BE_COLOUR},
        {RESIZE("{\"width\": 1, \"background\": \"0ffffff\"}"), AT_OP "/resize/background",
         MUST_BE_COLOUR},
        {RESIZE("{\"width\": 1, \"background\": [255, 255, 255]}"), AT_OP "/resize/background",
         MUST_BE_COLOUR},
        {OPS("{\"sharpen\": {\"sigma\": 0.29}}"), AT_OP "/sharpen/sigma", SIGMA},
        {OPS("{\"sharpen\": {\"sigma\": 11}}"), AT_OP "/sharpen/sigma", SIGMA},
        {OPS("{\"sharpen\": {\"sigma\": -1}}"), AT_OP "/sharpen/sigma", SIGMA},
        {OPS("{\"sharpen\": {\"radius\": 1}}"), AT_OP "/sharpen/radius",
         "is not a known field; known here: sigma"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

static void check_card(const struct image_output *card)
{
    assert_string_equal(card->name, "card");
    assert_true(card->has_format);
    assert_int_equal(card->format, IMAGE_WEBP);
    assert_int_equal(card->how.quality, 80);
    assert_int_equal(card->n_ops, 2);
    assert_int_equal(card->ops[0].kind, IMAGE_OP_RESIZE);
    assert_int_equal(card->ops[0].u.resize.width, 640);
    assert_int_equal(card->ops[0].u.resize.height, 480);
    assert_int_equal(card->ops[0].u.resize.fit, IMAGE_FIT_COVER);
    assert_int_equal(card->ops[0].u.resize.gravity.at, IMAGE_ATTENTION);
    assert_true(card->ops[0].u.resize.background.given);
    assert_memory_equal(card->ops[0].u.resize.background.rgba, "\x01\x02\xab\xff", 4);
    assert_int_equal(card->ops[1].kind, IMAGE_OP_SHARPEN);
    assert_true(card->ops[1].u.adjust.amount > 0.49 && card->ops[1].u.adjust.amount < 0.51);
}

static void image_is_read(void **state)
{
    static const char json[] =
        "{\"source\": {\"upload\": \"" UPLOAD "\"}, \"outputs\": ["
        "{\"name\": \"card\", \"ops\": [{\"resize\": {\"width\": 640, \"height\": 480, "
        "\"fit\": "
        "\"cover\", \"gravity\": \"attention\", \"background\": \"#0102ab\"}}, {\"sharpen\": "
        "{}}], "
        "\"format\": \"webp\", \"quality\": 80}, {\"name\": \"thumb\", \"ops\": [{\"resize\": "
        "{\"height\": 160, \"background\": \"#01020304\"}}]}]}";
    struct spec_image *image = malloc(sizeof *image);
    const struct image_output *thumb;
    char text[UUID_TEXT_SIZE];
    struct doc d;

    (void)state;
    assert_non_null(image);
    memset(image, 0xa5, sizeof *image); /* nothing may be left as it was */
    doc_open(&d, json);
    assert_int_equal(spec_image_parse(&d.root, "/args", image, NULL), ERR_OK);
    assert_int_equal(image->source.kind, IMAGE_SOURCE_UPLOAD);
    assert_string_equal(uuid_text(&image->source.upload, text), UPLOAD);
    assert_true(image->auto_orient);
    assert_int_equal(image->n_outputs, 2);
    check_card(&image->outputs[0]);
    thumb = &image->outputs[1];
    assert_string_equal(thumb->name, "thumb");
    assert_false(thumb->has_format);
    assert_int_equal(thumb->how.quality, 0);
    assert_int_equal(thumb->n_ops, 1);
    assert_int_equal(thumb->ops[0].u.resize.width, 0);
    assert_int_equal(thumb->ops[0].u.resize.fit, IMAGE_FIT_INSIDE);
    assert_int_equal(thumb->ops[0].u.resize.gravity.at, IMAGE_CENTER);
    assert_false(thumb->ops[0].u.resize.enlarge);
    assert_int_equal(thumb->ops[0].u.resize.background.rgba[3], 4);
    doc_close(&d);
    doc_open(&d, FROM("{\"path\": \"a/b.png\"}"));
    assert_int_equal(spec_image_parse(&d.root, "/args", image, NULL), ERR_OK);
    assert_int_equal(image->source.kind, IMAGE_SOURCE_PATH);
    assert_true(slice_is(image->source.text, "a/b.png"));
    doc_close(&d);
    free(image);
}

static void image_counts_are_limited(void **state)
{
    static const struct {
        int outputs, ops;
        const char *pointer;
    } rows[] = {{SPEC_IMAGE_OUTPUTS_MAX, SPEC_IMAGE_OPS_MAX, NULL},
                {SPEC_IMAGE_OUTPUTS_MAX + 1, 0, "/args/outputs"},
                {1, SPEC_IMAGE_OPS_MAX + 1, AT_OUTPUT "/ops"}};
    struct buf json = {.len = 0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct spec_fault told = {"", ""};
        struct doc d;

        buf_clear(&json);
        buf_add_str(&json, SOURCE "[");
        for (int k = 0; k < rows[i].outputs; k++) {
            buf_addf(&json, "%s{\"name\": \"n%d\", \"ops\": [", k > 0 ? ", " : "", k);
            for (int o = 0; o < rows[i].ops; o++)
                buf_addf(&json, "%s{\"sharpen\": {}}", o > 0 ? ", " : "");
            buf_add_str(&json, "]}");
        }
        buf_add_str(&json, "]}");
        doc_open(&d, buf_cstr(&json));
        assert_int_equal(spec_find("image")->check(&d.root, "/args", &told),
                         rows[i].pointer == NULL ? ERR_OK : ERR_MALFORMED);
        assert_string_equal(told.pointer, rows[i].pointer == NULL ? "" : rows[i].pointer);
        doc_close(&d);
    }
    buf_done(&json);
}

static void image_formats_have_names(void **state)
{
    static const struct {
        enum image_format format;
        const char *name, *mime, *ext;
    } rows[] = {{IMAGE_JPEG, "jpeg", "image/jpeg", "jpg"},
                {IMAGE_PNG, "png", "image/png", "png"},
                {IMAGE_WEBP, "webp", "image/webp", "webp"},
                {IMAGE_AVIF, "avif", "image/avif", "avif"},
                {IMAGE_GIF, "gif", "image/gif", "gif"}};
    enum image_format parsed;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(image_format_name(rows[i].format), rows[i].name);
        assert_string_equal(image_format_mime(rows[i].format), rows[i].mime);
        assert_string_equal(image_format_ext(rows[i].format), rows[i].ext);
        assert_true(image_format_parse(slice_str(rows[i].name), &parsed));
        assert_int_equal(parsed, rows[i].format);
    }
    assert_true(image_format_parse(SLICE_LIT("jpg"), &parsed));
    assert_int_equal(parsed, IMAGE_JPEG);
    assert_false(image_format_parse(SLICE_LIT("bmp"), &parsed));
    assert_false(image_format_parse(SLICE_LIT(""), &parsed));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_sources_are_one_of_three),
        cmocka_unit_test(image_outputs_follow_the_rules),
        cmocka_unit_test(image_srcsets_follow_the_rules),
        cmocka_unit_test(image_operations_follow_the_rules),
        cmocka_unit_test(image_is_read),
        cmocka_unit_test(image_counts_are_limited),
        cmocka_unit_test(image_formats_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
