/* image_ops: each operation of an image job once, for tests that go through all of them. */
#ifndef TESTS_UNIT_IMAGE_OPS_H
#define TESTS_UNIT_IMAGE_OPS_H

#include <stdbool.h>

static const struct image_op_sample {
    const char *json;
    bool is_look; /* leaves size and alpha as they are */
} image_op_samples[] = {
    {"{'blur': {'sigma': 1.5}}", true},
    {"{'sharpen': {}}", true},
    {"{'pixelate': {'size': 5}}", true},
    {"{'brightness': {'amount': 1.1}}", true},
    {"{'contrast': {'amount': 1.1}}", true},
    {"{'saturation': {'amount': 1.1}}", true},
    {"{'hue': {'degrees': 20}}", true},
    {"{'gamma': {}}", true},
    {"{'grayscale': {}}", true},
    {"{'sepia': {}}", true},
    {"{'tint': {'colour': '#ff8000'}}", true},
    {"{'duotone': {}}", true},
    {"{'negate': {}}", true},
    {"{'normalise': {}}", true},
    {"{'resize': {'width': 20, 'kernel': 'mitchell'}}", false},
    {"{'extract': {'width': 20, 'gravity': 'attention'}}", false},
    {"{'trim': {}}", false},
    {"{'pad': {'all': 3}}", false},
    {"{'extend': {'aspect': '1:1'}}", false},
    {"{'rotate': {'angle': 33}}", false},
    {"{'rotate': {'angle': 90}}", false},
    {"{'flip': {}}", false},
    {"{'flop': {}}", false},
    {"{'round': {'radius': 5}}", false},
    {"{'circle': {}}", false},
    {"{'flatten': {'background': '#ff000080'}}", false},
};

#endif
