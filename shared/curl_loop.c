#include "shared/curl_loop.h"

#include <string.h>
#include <unistd.h>

#define LOOP_MAGIC 0x6375726cU
#define SOCK_MAGIC 0x736f636bU

/* A socket that libcurl wants watched. */
struct watch {
    uint32_t magic;
    uv_poll_t poll;
    struct curl_loop *owner;
    curl_socket_t fd;
    int events;
    struct watch *next;
};

struct curl_loop {
    uint32_t magic;
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    struct watch *watches;
    size_t open_watches; /* those in the list and those whose close callback is due */
    size_t tasks;
    bool closing, cleaned;
    curl_loop_closed_fn *on_closed;
    void *closed_arg;
};

static struct curl_loop *loop_of(void *arg)
{
    struct curl_loop *cl = arg;

    must(cl != NULL && cl->magic == LOOP_MAGIC);
    return cl;
}

static struct watch *watch_of(const uv_handle_t *h)
{
    struct watch *w = h->data;

    must(w != NULL && w->magic == SOCK_MAGIC);
    return w;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void free_if_quiet(struct curl_loop *cl)
{
    curl_loop_closed_fn *on_closed = cl->on_closed;
    void *arg = cl->closed_arg;

    if (!cl->cleaned || cl->open_watches > 0)
        return;
    cl->magic = 0;
    free(cl);
    curl_global_cleanup();
    on_closed(arg);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct curl_loop *cl = loop_of(h->data);

    (void)curl_multi_cleanup(
        cl->multi); /* closes idle connections, each through close_socket() */
    cl->multi = NULL;
    cl->cleaned = true;
    free_if_quiet(cl);
}

void curl_loop_close(struct curl_loop **pcl, curl_loop_closed_fn *on_closed, void *arg)
{
    struct curl_loop *cl = loop_of(*pcl);

    *pcl = NULL;
    must(cl->tasks == 0 && !cl->closing);
    cl->closing = true;
    cl->on_closed = on_closed;
    cl->closed_arg = arg;
    uv_close((uv_handle_t *)&cl->timer, on_timer_closed);
}

/* --- sockets ---------------------------------------------------------------------------------- */

static void on_watch_closed(uv_handle_t *h)
{
    struct watch *w = watch_of(h);
    struct curl_loop *cl = w->owner;

    w->magic = 0;
    free(w);
    cl->open_watches--;
    free_if_quiet(cl);
}

static struct watch *find_watch(struct curl_loop *cl, curl_socket_t fd)
{
    for (struct watch *w = cl->watches; w != NULL; w = w->next) {
        if (w->fd == fd)
            return w;
    }
    return NULL;
}

void curl_loop_unwatch(struct curl_loop *cl, curl_socket_t fd)
{
    for (struct watch **at = &cl->watches; *at != NULL; at = &(*at)->next) {
        struct watch *w = *at;

        if (w->fd != fd)
            continue;
        *at = w->next;
        (void)uv_poll_stop(&w->poll);
        uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        return;
    }
}

static struct watch *new_watch(struct curl_loop *cl, curl_socket_t fd)
{
    struct watch *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    if (uv_poll_init_socket(cl->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->magic = SOCK_MAGIC;
    w->owner = cl;
    w->fd = fd;
    w->poll.data = w;
    w->next = cl->watches;
    cl->watches = w;
    cl->open_watches++;
    return w;
}

static void tell_done(struct curl_loop *cl)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(cl->multi, &left)) != NULL) {
        CURLcode code = msg->data.result;
        struct curl_task *task = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&task);
        must(task != NULL && task->easy == msg->easy_handle);
        task->done(task->arg, code); /* may remove tasks and add others */
    }
}

static void on_ready(uv_poll_t *h, int status, int events)
{
    struct watch *w = watch_of((uv_handle_t *)h);
    struct curl_loop *cl = w->owner;
    curl_socket_t fd = w->fd;
    int flags = 0, running;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if ((events & (UV_READABLE | UV_DISCONNECT)) != 0)
        flags |= CURL_CSELECT_IN;
    if ((events & UV_WRITABLE) != 0)
        flags |= CURL_CSELECT_OUT;
    (void)curl_multi_socket_action(cl->multi, fd, flags, &running);
    /* libuv has stopped a watch that failed; if libcurl still wants the socket, it goes on. */
    if (status < 0 && find_watch(cl, fd) == w)
        (void)uv_poll_start(&w->poll, w->events, on_ready);
    tell_done(cl);
}

static int uv_events(int what)
{
    switch (what) {
    case CURL_POLL_IN:
        return UV_READABLE;
    case CURL_POLL_OUT:
        return UV_WRITABLE;
    case CURL_POLL_INOUT:
        return UV_READABLE | UV_WRITABLE;
    default:
        return 0;
    }
}

/* Called by libcurl. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct curl_loop *cl = loop_of(arg);
    struct watch *w = find_watch(cl, fd);

    (void)easy;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        curl_loop_unwatch(cl, fd);
        return 0;
    }
    if (w == NULL && (w = new_watch(cl, fd)) == NULL)
        return -1;
    w->events = uv_events(what);
    if (w->events == 0)
        return uv_poll_stop(&w->poll) == 0 ? 0 : -1;
    return uv_poll_start(&w->poll, w->events, on_ready) == 0 ? 0 : -1;
}

/* Called by libcurl. */
static int close_socket(void *arg, curl_socket_t fd)
{
    curl_loop_unwatch(loop_of(arg), fd);
    return close(fd);
}

/* --- time ------------------------------------------------------------------------------------- */

static void on_timeout(uv_timer_t *h)
{
    struct curl_loop *cl = loop_of(h->data);
    int running;

    (void)curl_multi_socket_action(cl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    tell_done(cl);
}

/* Called by libcurl, which may be inside an action: so never act here, not even for 0 ms. */
static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct curl_loop *cl = loop_of(arg);

    (void)multi;
    if (cl->closing)
        return 0;
    if (timeout_ms < 0)
        return uv_timer_stop(&cl->timer);
    return uv_timer_start(&cl->timer, on_timeout, timeout_ms < 1 ? 1 : (uint64_t)timeout_ms, 0);
}

/* --- tasks ------------------------------------------------------------------------------------ */

CURLM *curl_loop_multi(struct curl_loop *cl)
{
    return cl->multi;
}

enum err curl_loop_add(struct curl_loop *cl, struct curl_task *task, struct fault *reterr)
{
    CURLMcode code;

    must(!task->added && !cl->closing);
    (void)curl_easy_setopt(task->easy, CURLOPT_PRIVATE, task);
    (void)curl_easy_setopt(task->easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    (void)curl_easy_setopt(task->easy, CURLOPT_CLOSESOCKETDATA, cl);
    code = curl_multi_add_handle(cl->multi, task->easy);
    if (code != CURLM_OK) {
        return fault_set(reterr, code == CURLM_OUT_OF_MEMORY ? ERR_NOMEM : ERR_INTERNAL,
                         (int)code, "libcurl: %s", curl_multi_strerror(code));
    }
    task->added = true;
    cl->tasks++;
    return ERR_OK;
}

void curl_loop_remove(struct curl_loop *cl, struct curl_task *task)
{
    if (!task->added)
        return;
    task->added = false;
    cl->tasks--;
    must(curl_multi_remove_handle(cl->multi, task->easy) == CURLM_OK);
}

enum err curl_loop_new(uv_loop_t *loop, struct curl_loop **ret, struct fault *reterr)
{
    struct curl_loop *cl = calloc(1, sizeof *cl);

    if (cl == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "curl_loop");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(cl);
        return fault_set(reterr, ERR_INTERNAL, 0, "libcurl did not start");
    }
    cl->multi = curl_multi_init();
    if (cl->multi == NULL) {
        curl_global_cleanup();
        free(cl);
        return fault_set(reterr, ERR_NOMEM, 0, "curl_multi_init");
    }
    cl->magic = LOOP_MAGIC;
    cl->loop = loop;
    (void)uv_timer_init(loop, &cl->timer);
    cl->timer.data = cl;
    (void)curl_multi_setopt(cl->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    (void)curl_multi_setopt(cl->multi, CURLMOPT_SOCKETDATA, cl);
    (void)curl_multi_setopt(cl->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(cl->multi, CURLMOPT_TIMERDATA, cl);
    *ret = cl;
    return ERR_OK;
}

/* --- codes ------------------------------------------------------------------------------------ */

static const struct {
    CURLcode code;
    enum err err;
} codes[] = {
    {CURLE_OK, ERR_OK},
    {CURLE_OUT_OF_MEMORY, ERR_NOMEM},
    {CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT},
    {CURLE_UNSUPPORTED_PROTOCOL,
     ERR_UNREACHABLE}, /* HTTP/0.9: the peer speaks something else */
    {CURLE_URL_MALFORMAT, ERR_MALFORMED},
    {CURLE_COULDNT_RESOLVE_HOST, ERR_UNREACHABLE},
    {CURLE_COULDNT_CONNECT, ERR_UNREACHABLE},
    {CURLE_WEIRD_SERVER_REPLY, ERR_UNREACHABLE},
    {CURLE_HTTP2, ERR_UNREACHABLE},
    {CURLE_HTTP2_STREAM, ERR_UNREACHABLE},
    {CURLE_PARTIAL_FILE, ERR_UNREACHABLE},
    {CURLE_GOT_NOTHING, ERR_UNREACHABLE},
    {CURLE_SEND_ERROR, ERR_UNREACHABLE},
    {CURLE_RECV_ERROR, ERR_UNREACHABLE},
    {CURLE_SSL_CONNECT_ERROR, ERR_UNREACHABLE},
    {CURLE_PEER_FAILED_VERIFICATION, ERR_UNREACHABLE}, /* a certificate can be renewed */
    {CURLE_NO_CONNECTION_AVAILABLE, ERR_BUSY},
    {CURLE_BAD_CONTENT_ENCODING, ERR_REJECTED},
    {CURLE_REMOTE_ACCESS_DENIED, ERR_REJECTED},
    {CURLE_LOGIN_DENIED, ERR_REJECTED},
    {CURLE_AUTH_ERROR, ERR_REJECTED},
    {CURLE_USE_SSL_FAILED, ERR_REJECTED},
    {CURLE_SSL_CACERT_BADFILE, ERR_IO},
};

static enum err err_of(CURLcode code)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        if (codes[i].code == code)
            return codes[i].err;
    }
    return ERR_INTERNAL;
}

enum err curl_fault(struct fault *reterr, CURLcode code, const char *what, const char *detail)
{
    return fault_set(reterr, err_of(code), (int)code, "%s: %s", what,
                     detail[0] != '\0' ? detail : curl_easy_strerror(code));
}
