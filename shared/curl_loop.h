/* curl_loop: libcurl's multi interface driven by a uv loop.
 *
 * libcurl tells which sockets to watch and when to wake; here they become uv_poll and uv_timer
 * handles. A watch always ends before its socket is closed, because libuv aborts on a descriptor
 * that vanished under it. Loop thread only; nothing here may be called from inside a callback of
 * libcurl. */
#ifndef SHARED_CURL_LOOP_H
#define SHARED_CURL_LOOP_H

#include <curl/curl.h>
#include <uv.h>

#include "shared/err.h"

struct curl_loop;
typedef void curl_done_fn(void *arg, CURLcode code);
typedef void curl_loop_closed_fn(void *arg);

/* One easy handle under way. Embedded by its owner; lives from add to remove. */
struct curl_task {
    CURL *easy;
    curl_done_fn *done;
    void *arg;
    bool added;
};

MUST_USE enum err curl_loop_new(uv_loop_t *loop, struct curl_loop **ret, struct fault *reterr);
/* For curl_multi_setopt() only. */
CURLM *curl_loop_multi(struct curl_loop *cl);
/* Sets CURLOPT_PRIVATE and CURLOPT_CLOSESOCKETFUNCTION of task->easy. done runs later and once, and
 * leaves the handle in place; it need not run if the task is removed before. */
MUST_USE enum err curl_loop_add(struct curl_loop *cl, struct curl_task *task,
                                struct fault *reterr);
/* Harmless for a task that is not added. */
void curl_loop_remove(struct curl_loop *cl, struct curl_task *task);
/* For who takes over a connected socket (CURLOPT_CONNECT_ONLY) and watches it with its own handle. */
void curl_loop_unwatch(struct curl_loop *cl, curl_socket_t fd);
/* Every task has been removed before. on_closed runs later, when nothing is open any more. */
void curl_loop_close(struct curl_loop **cl, curl_loop_closed_fn *on_closed, void *arg);

/* Translates libcurl's codes; fault text: "what: libcurl's words". detail (may be "") is the error buffer. */
enum err curl_fault(struct fault *reterr, CURLcode code, const char *what, const char *detail);

#endif
