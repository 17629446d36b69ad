#include "worker/handler.h"

static const struct handler *const handlers[] = {
    &handler_noop, &handler_image, &handler_image_info, &handler_webhook, &handler_email,
};

const struct handler *handler_find(const char *type)
{
    for (size_t i = 0; i < COUNT_OF(handlers); i++) {
        if (strcmp(handlers[i]->type, type) == 0)
            return handlers[i];
    }
    return NULL;
}
