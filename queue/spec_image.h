/* spec_image: what an image job asks for: one source, several outputs from one decode. The rules of
 * each field (range, default) stand in queue/spec/image_*.c; docs/images.md tells them to people.
 * Included by spec.h. */
#ifndef QUEUE_SPEC_IMAGE_H
#define QUEUE_SPEC_IMAGE_H

#include "queue/job.h"

struct spec_fault;

/* tiff is read and written; heif (HEIC and its like) is read where the library can,
 * svg where the operator allows it. */
enum image_format {
    IMAGE_JPEG,
    IMAGE_PNG,
    IMAGE_WEBP,
    IMAGE_AVIF,
    IMAGE_GIF,
    IMAGE_TIFF,
    IMAGE_HEIF,
    IMAGE_SVG
};
#define IMAGE_FORMATS (IMAGE_SVG + 1)
const char *image_format_name(enum image_format f);
const char *image_format_mime(enum image_format f);
const char *image_format_ext(enum image_format f); /* "jpg" "png" "webp" "avif" "gif" "tif" */
MUST_USE bool image_format_parse(struct slice name, enum image_format *ret); /* also "jpg" */
bool image_format_is_written(enum image_format f);
bool image_format_has_alpha(enum image_format f); /* all but jpeg */
bool image_format_moves(enum image_format f);     /* can hold an animation: gif, webp */

/* --- values that several operations take ----------------------------------------------------- */

enum image_fit {
    IMAGE_FIT_INSIDE,
    IMAGE_FIT_COVER,
    IMAGE_FIT_CONTAIN,
    IMAGE_FIT_FILL,
    IMAGE_FIT_OUTSIDE
};
enum image_gravity {
    IMAGE_CENTER,
    IMAGE_NORTH,
    IMAGE_SOUTH,
    IMAGE_EAST,
    IMAGE_WEST,
    IMAGE_NORTHEAST,
    IMAGE_NORTHWEST,
    IMAGE_SOUTHEAST,
    IMAGE_SOUTHWEST,
    IMAGE_ATTENTION,
    IMAGE_ENTROPY,
    IMAGE_FOCUS /* a point of its own */
};
/* A compass point, or the point {x, y} of the picture, each 0..1, that is to stay in the middle. */
struct image_anchor {
    enum image_gravity at;
    double x, y; /* of IMAGE_FOCUS */
};
struct image_colour {
    uint8_t rgba[4]; /* of "#rrggbb" or "#rrggbbaa" */
    bool given;
};
/* A whole number of pixels, or a part (between 0 and 1) of a side. */
struct image_length {
    double value;
    bool is_part, given;
};
enum image_kernel {
    IMAGE_KERNEL_AUTO,
    IMAGE_KERNEL_NEAREST,
    IMAGE_KERNEL_LINEAR,
    IMAGE_KERNEL_CUBIC,
    IMAGE_KERNEL_MITCHELL,
    IMAGE_KERNEL_LANCZOS2,
    IMAGE_KERNEL_LANCZOS3
};
enum image_align { IMAGE_ALIGN_LEFT, IMAGE_ALIGN_CENTER, IMAGE_ALIGN_RIGHT };

enum image_source_kind { IMAGE_SOURCE_UPLOAD, IMAGE_SOURCE_URL, IMAGE_SOURCE_PATH };
struct image_source {
    enum image_source_kind kind;
    struct uuid upload; /* "upload": the id that POST /v1/uploads gave */
    struct slice text;  /* url or path */
};

/* --- operations: one struct for each that has fields ------------------------------------------ */

enum image_op_kind {
    IMAGE_OP_RESIZE,
    IMAGE_OP_EXTRACT,
    IMAGE_OP_TRIM,
    IMAGE_OP_PAD,
    IMAGE_OP_EXTEND,
    IMAGE_OP_ROTATE,
    IMAGE_OP_FLIP,
    IMAGE_OP_FLOP,
    IMAGE_OP_ROUND,
    IMAGE_OP_CIRCLE,
    IMAGE_OP_BLUR,
    IMAGE_OP_SHARPEN,
    IMAGE_OP_PIXELATE,
    IMAGE_OP_BRIGHTNESS,
    IMAGE_OP_CONTRAST,
    IMAGE_OP_SATURATION,
    IMAGE_OP_HUE,
    IMAGE_OP_GAMMA,
    IMAGE_OP_GRAYSCALE,
    IMAGE_OP_SEPIA,
    IMAGE_OP_TINT,
    IMAGE_OP_DUOTONE,
    IMAGE_OP_NEGATE,
    IMAGE_OP_NORMALISE,
    IMAGE_OP_FLATTEN,
    IMAGE_OP_TEXT,
    IMAGE_OP_WATERMARK
};
#define IMAGE_OPS (IMAGE_OP_WATERMARK + 1)

struct image_resize {
    uint32_t width, height; /* 0: free */
    uint32_t min_width, min_height, max_width, max_height;
    double dpr;
    enum image_fit fit;
    struct image_anchor gravity;
    bool enlarge;
    enum image_kernel kernel;
    struct image_colour background;
};
struct image_extract {
    struct image_length left, top, width, height;
    struct image_anchor gravity;
};
struct image_trim {
    double threshold;
    struct image_colour background;
};
struct image_pad {
    struct image_length all, top, right, bottom, left;
    struct image_colour background;
};
struct image_extend {
    uint32_t width, height;
    double aspect; /* width / height; 0: none */
    struct image_anchor gravity;
    struct image_colour background;
};
struct image_rotate {
    double angle; /* clockwise */
    struct image_colour background;
};
struct image_round {
    struct image_length radius;
    struct image_anchor gravity; /* of circle: which square is kept */
    struct image_colour background;
};
struct image_amount {
    double amount; /* blur, sharpen: sigma; hue: degrees; gamma: exponent; else a factor */
};
struct image_pixelate {
    uint32_t size;
};
struct image_tones {
    struct image_colour colour, shadow, highlight;
};
struct image_normalise {
    double lower, upper; /* percent */
};
struct image_text {
    struct slice text, font;
    uint32_t size, stroke;
    struct image_length wrap;
    bool bold, italic;
    enum image_align align;
    struct image_colour colour, stroke_colour;
    struct image_anchor gravity;
    int32_t x, y;
    double opacity;
};
struct image_watermark {
    struct image_source source;
    size_t mark; /* into spec_image.marks */
    struct image_anchor gravity;
    int32_t x, y;
    double opacity, scale; /* of the picture's width; 0: as it is */
    bool tile;
    uint32_t spacing;
};
struct image_op {
    enum image_op_kind kind;
    union {
        struct image_resize resize;
        struct image_extract extract;
        struct image_trim trim;
        struct image_pad pad;
        struct image_extend extend;
        struct image_rotate rotate;
        struct image_round round;
        struct image_amount adjust;
        struct image_pixelate pixelate;
        struct image_tones tones; /* tint, duotone, flatten */
        struct image_normalise normalise;
        struct image_text text;
        struct image_watermark watermark;
    } u;
};

/* --- outputs ------------------------------------------------------------------------------------ */

enum image_chroma { IMAGE_CHROMA_AUTO, IMAGE_CHROMA_420, IMAGE_CHROMA_444 };
enum image_squeeze {
    IMAGE_SQUEEZE_DEFLATE,
    IMAGE_SQUEEZE_LZW,
    IMAGE_SQUEEZE_JPEG,
    IMAGE_SQUEEZE_NONE
};
/* How a file is written. What is not given has the format's default. */
#define IMAGE_UNSET UINT32_MAX
struct image_coding {
    uint32_t quality; /* 1..100; 0: the format's default (jpeg 80, webp 80, avif 50, tiff 80) */
    bool progressive, optimise, palette, lossless;
    uint32_t near_lossless;       /* 1..100; 0: off */
    uint32_t effort, compression; /* IMAGE_UNSET: the format's default */
    uint32_t colours;             /* of a palette, 2..256 */
    double dither;
    enum image_chroma chroma;
    enum image_squeeze squeeze; /* of tiff */
};
#define SPEC_IMAGE_OUTPUTS_MAX 32
#define SPEC_IMAGE_OPS_MAX     16
#define SPEC_IMAGE_MARKS_MAX   8
struct image_output {
    char name[JOB_NAME_MAX + 1]; /* unique in the job; [a-z0-9._-], first a letter or digit */
    struct image_op ops[SPEC_IMAGE_OPS_MAX];
    size_t n_ops;
    enum image_format format; /* default: the source's, or webp where that cannot be written */
    bool has_format;
    bool is_auto;        /* the smallest of the candidates */
    uint32_t candidates; /* bit per format; 0: webp, avif, and jpeg or png */
    uint32_t max_bytes;  /* 0: no limit; else quality goes down until the file fits */
    struct image_coding how;
};
struct spec_image {
    struct image_source source;
    struct image_source marks[SPEC_IMAGE_MARKS_MAX]; /* of watermarks, each once */
    size_t n_marks;
    struct image_output outputs[SPEC_IMAGE_OUTPUTS_MAX];
    size_t n_outputs; /* 1..32; image.info: 0 */
    bool auto_orient; /* default true */
    bool describe;    /* tell about the source in the result */
    bool gps;         /* with its place */
    bool still;       /* "animated": false */
    bool has_page;    /* that page, and so no animation */
    uint32_t page;
    bool keep_profile;  /* "profile": "keep" */
    bool high_fidelity; /* "fidelity": "high" */
};
/* What a job may hold, at most the maxima above, which stand until this is called: in all that is parsed from
 * then on, jobs and recipes. Process-wide; once, at the start. */
struct spec_image_limits {
    size_t outputs, ops, marks; /* of a job; of an output; files of a job's watermarks */
};
void spec_image_set_limits(const struct spec_image_limits *l);

/* ret is large (100 KB): allocate it. *ret may be half written after a fault. */
MUST_USE enum err spec_image_parse(const msgpack_object *args, const char *at,
                                   struct spec_image *ret, struct spec_fault *reterr);
/* image.info: {"source", "gps"?, "page"?}. */
MUST_USE enum err spec_image_info_parse(const msgpack_object *args, const char *at,
                                        struct spec_image *ret, struct spec_fault *reterr);
/* Either, told apart by "outputs". For what runs orders of both. */
MUST_USE enum err spec_image_any_parse(const msgpack_object *args, const char *at,
                                       struct spec_image *ret, struct spec_fault *reterr);

/* Which of the marks a watermark's "source" names; n_marks: none. */
size_t spec_image_mark_find(const struct spec_image *image, const msgpack_object *source);
/* Where the job names it first: "/args/outputs/0/ops/1/watermark/source". */
#define SPEC_IMAGE_POINTER_MAX 64
void spec_image_mark_pointer(const struct spec_image *image, size_t mark,
                             char dst[SPEC_IMAGE_POINTER_MAX]);

#endif
