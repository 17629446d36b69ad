/* handler: what a job type does. One file in handlers/, one line in registry.c.
 *
 * start() begins the work of one attempt and gives ERR_OK; the handler then calls slot_done()
 * exactly once, never from inside start(). Or it gives an error and never calls. stop() asks it to
 * end soon: slot_done(ERR_CANCELED) follows. Effects must bear repeating: a job runs at least once.
 * The args have passed the type's check (queue/spec.h) before start(). */
#ifndef WORKER_HANDLER_H
#define WORKER_HANDLER_H

#include "worker/slot.h"

struct handler {
    const char *type;
    bool uses_renderer; /* counts against the renderers, not only the queue's slots */
    bool own_deadline;  /* watches the job's timeout_ms itself */
    enum err (*start)(struct slot *s, struct fault *reterr);
    void (*stop)(struct slot *s);
};

const struct handler *handler_find(const char *type);

extern const struct handler handler_noop, handler_image, handler_image_info, handler_webhook,
    handler_email;

#endif
