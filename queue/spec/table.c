#include "queue/spec/types.h"

static const struct spec_type types[] = {
    {"image", "image", 5, 60000, spec_image_check},
    {"webhook", "notify", 8, 30000, spec_webhook_check},
    {"email", "notify", 8, 60000, spec_email_check},
    {"noop", "default", 3, 90000, spec_noop_check},
    {"image.info", "image", 5, 60000, spec_image_info_check},
};

const struct spec_type *spec_find(const char *type)
{
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (strcmp(types[i].name, type) == 0)
            return &types[i];
    }
    return NULL;
}

const struct spec_type *spec_table(size_t *ret_n)
{
    *ret_n = COUNT_OF(types);
    return types;
}
