/* body_json: a small JSON body as msgpack, for endpoints that take it apart by a table (queue/spec/walk.h). */
#ifndef API_BODY_JSON_H
#define API_BODY_JSON_H

#include "api/request.h"
#include "queue/spec.h"

struct body_json {
    struct buf packed;
    msgpack_zone zone;
    bool has_zone;
    msgpack_object root; /* points into the two above */
};

/* false: it is answered (415, 400, 413, 503). body_json_done() either way. */
MUST_USE bool body_json_read(struct request *rq, struct body_json *b);
void body_json_done(struct body_json *b);
/* root once more as it was sent, after it has been changed. ERR_NOMEM. */
MUST_USE enum err body_json_again(struct body_json *b);
/* 422. */
void body_json_refuse(struct request *rq, const struct spec_fault *why);

#endif
