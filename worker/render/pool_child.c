#include "worker/render/pool_child.h"

#include <signal.h>

#define MAGIC      0x72636864u
#define READ_SIZE  4096
#define STDERR_MAX 65536u /* a child that says more is no longer listened to */
#define DRAIN_MS   200    /* for pipes that somebody holds open beyond the child's end */
#define UNREAD_MAX (WIRE_HEAD + WIRE_BODY_MAX)

struct pool_child {
    uint32_t magic;
    const struct pool_child_events *events;
    void *arg;
    uv_process_t process;
    uv_pipe_t socket, err;
    uv_timer_t drain;
    unsigned handles; /* not yet closed */
    bool started, exited, ended, deaf;
    bool socket_open, err_open; /* being read */
    int64_t status;
    int signal;
    struct buf in;
    char chunk[READ_SIZE];
    char tail[POOL_CHILD_TAIL + 1];
    size_t tail_len, err_total;
    bool has_crash;
    struct wire_crash crash;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

struct send {
    uv_write_t req;
    char *bytes;
};

static struct pool_child *child_of(const uv_handle_t *h)
{
    struct pool_child *c = h->data;

    must(c != NULL && c->magic == MAGIC);
    return c;
}

/* --- handles ------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *h)
{
    struct pool_child *c = child_of(h);
    void (*on_closed)(void *arg) = c->on_closed;
    void *arg = c->closed_arg;

    if (--c->handles > 0)
        return;
    buf_done(&c->in);
    c->magic = 0;
    free(c);
    on_closed(arg);
}

static void close_handle(struct pool_child *c, uv_handle_t *h)
{
    if (h->data == c && !uv_is_closing(h))
        uv_close(h, on_handle_closed);
}

/* --- end ------------------------------------------------------------------------------------- */

static void one_line(char *text, size_t len)
{
    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(text[i] == '\n' || text[i] == '\0' ? ' ' : text[i]);
    wire_printable(text);
}

static void end_if_over(struct pool_child *c)
{
    struct pool_child_end end = {.status = c->status, .signal = c->signal, .tail = c->tail};

    if (!c->exited || c->ended || c->socket_open || c->err_open)
        return;
    c->ended = true;
    (void)uv_timer_stop(&c->drain);
    end.crash = c->has_crash ? &c->crash : NULL;
    one_line(c->tail, c->tail_len);
    c->events->on_end(c->arg, &end);
}

static void stop_reading(struct pool_child *c, uv_pipe_t *pipe)
{
    if (pipe == &c->socket)
        c->socket_open = false;
    else
        c->err_open = false;
    if (!uv_is_closing((uv_handle_t *)pipe))
        (void)uv_read_stop((uv_stream_t *)pipe);
}

static void on_drained(uv_timer_t *t)
{
    struct pool_child *c = child_of((uv_handle_t *)t);

    stop_reading(c, &c->socket);
    stop_reading(c, &c->err);
    end_if_over(c);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
    struct pool_child *c = child_of((uv_handle_t *)process);

    c->exited = true;
    c->status = status;
    c->signal = signal;
    if (c->socket_open || c->err_open)
        (void)uv_timer_start(&c->drain, on_drained, DRAIN_MS, 0);
    end_if_over(c);
}

/* --- reading --------------------------------------------------------------------------------- */

static void refuse(struct pool_child *c, const struct fault *why)
{
    c->deaf = true;
    buf_clear(&c->in);
    c->events->on_garbage(c->arg, why);
}

static void take_message(struct pool_child *c, struct slice body)
{
    struct wire_msg msg;
    struct fault why;

    if (wire_decode(body, &msg, &why) != ERR_OK) {
        refuse(c, &why);
    } else if (msg.kind == WIRE_CRASH) {
        c->has_crash = true;
        c->crash = msg.u.crash;
    } else {
        c->events->on_message(c->arg, &msg);
    }
}

static void take_frames(struct pool_child *c)
{
    while (!c->deaf && c->in.len >= WIRE_HEAD) {
        struct fault why;
        size_t len = 0;

        if (wire_body_len(c->in.data, &len) != ERR_OK) {
            (void)fault_set(&why, ERR_MALFORMED, 0, "a message of an impossible length");
            refuse(c, &why);
            return;
        }
        if (c->in.len - WIRE_HEAD < len)
            return;
        take_message(c, slice_of(c->in.data + WIRE_HEAD, len));
        if (!c->deaf)
            buf_consume(&c->in, WIRE_HEAD + len);
    }
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
    struct pool_child *c = child_of(h);

    (void)suggested;
    *ret = uv_buf_init(c->chunk, sizeof c->chunk);
}

static void on_socket(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct pool_child *c = child_of((uv_handle_t *)s);

    if (n < 0) {
        stop_reading(c, &c->socket);
        end_if_over(c);
        return;
    }
    if (c->deaf)
        return;
    buf_add(&c->in, b->base, (size_t)n);
    if (buf_failed(&c->in)) {
        struct fault why;

        (void)fault_set(&why, ERR_NOMEM, 0, "no memory for what it sent");
        refuse(c, &why);
        return;
    }
    take_frames(c);
}

/* Keeps the end: the reason of a crash comes last. */
static void add_tail(struct pool_child *c, const char *bytes, size_t n)
{
    size_t over;

    if (n > POOL_CHILD_TAIL) {
        bytes += n - POOL_CHILD_TAIL;
        n = POOL_CHILD_TAIL;
    }
    over = c->tail_len + n > POOL_CHILD_TAIL ? c->tail_len + n - POOL_CHILD_TAIL : 0;
    memmove(c->tail, c->tail + over, c->tail_len - over);
    memcpy(c->tail + c->tail_len - over, bytes, n);
    c->tail_len += n - over;
    c->tail[c->tail_len] = '\0';
}

static void on_stderr(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct pool_child *c = child_of((uv_handle_t *)s);

    if (n > 0) {
        add_tail(c, b->base, (size_t)n);
        c->err_total += (size_t)n;
    }
    if (n < 0 || c->err_total > STDERR_MAX) {
        stop_reading(c, &c->err);
        close_handle(c, (uv_handle_t *)&c->err); /* so that writing fails and does not wait */
        end_if_over(c);
    }
}

/* --- start ----------------------------------------------------------------------------------- */

static void add_handle(struct pool_child *c, uv_handle_t *h)
{
    h->data = c;
    c->handles++;
}

enum err pool_child_new(uv_loop_t *loop, const struct pool_child_events *events, void *arg,
                        struct pool_child **ret, struct fault *reterr)
{
    struct pool_child *c = calloc(1, sizeof *c);

    if (c == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a renderer");
    c->magic = MAGIC;
    c->events = events;
    c->arg = arg;
    buf_init(&c->in, UNREAD_MAX + READ_SIZE);
    (void)uv_pipe_init(loop, &c->socket, 0);
    add_handle(c, (uv_handle_t *)&c->socket);
    (void)uv_pipe_init(loop, &c->err, 0);
    add_handle(c, (uv_handle_t *)&c->err);
    (void)uv_timer_init(loop, &c->drain);
    add_handle(c, (uv_handle_t *)&c->drain);
    *ret = c;
    return ERR_OK;
}

/* What the child is given to read besides its orders. Nothing of the worker's environment:
 * secrets live there. */
static void fill_env(char *env[8])
{
    static char locale[] = "LC_ALL=C";
    static char quiet[] = "VIPS_WARNING=0";
    static char arenas[] = "MALLOC_ARENA_MAX=2";
    static char memory_only[] = "VIPS_DISC_THRESHOLD=1000g"; /* there is no disc to spill to */
    size_t n = 0;

    env[n++] = locale;
    env[n++] = quiet;
    env[n++] = arenas;
    env[n++] = memory_only;
#ifdef MILLRACE_FAILPOINTS
    const char *points =
        getenv("MILLRACE_FAILPOINTS"); /* NOLINT(concurrency-mt-unsafe): loop thread */

    /* Points at the whole NAME=value, as environ does. */
    if (points != NULL)
        env[n++] = (char *)(uintptr_t)points - strlen("MILLRACE_FAILPOINTS=");
#endif
    env[n] = NULL;
}

enum err pool_child_start(struct pool_child *c, const struct pool_child_options *opt,
                          struct fault *reterr)
{
    char memory[24], svg[] = "svg";
    char *args[] = {(char *)(uintptr_t)opt->program, memory, (char *)(uintptr_t)opt->fonts,
                    opt->svg ? svg : NULL, NULL};
    char *env[8];
    uv_stdio_container_t stdio[] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&c->socket},
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->err},
    };
    uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = opt->program,
        .args = args,
        .env = env,
        .cwd = opt->dir,
        .stdio_count = COUNT_OF(stdio),
        .stdio = stdio,
    };
    int rc;

    (void)snprintf(memory, sizeof memory, "%llu", (unsigned long long)opt->memory_bytes);
    fill_env(env);
    rc = uv_spawn(c->socket.loop, &c->process, &options);
    add_handle(c, (uv_handle_t *)&c->process); /* to be closed even if it failed */
    if (rc != 0)
        return fault_set(reterr, ERR_CRASHED, -rc, "cannot start %s: %s", opt->program,
                         uv_strerror(rc));
    c->started = true;
    c->socket_open = uv_read_start((uv_stream_t *)&c->socket, on_alloc, on_socket) == 0;
    c->err_open = uv_read_start((uv_stream_t *)&c->err, on_alloc, on_stderr) == 0;
    return ERR_OK;
}

/* --- commands -------------------------------------------------------------------------------- */

static void on_sent(uv_write_t *req, int status)
{
    struct send *s = CONTAINER(req, struct send, req);

    (void)status; /* the end of the child tells more */
    free(s->bytes);
    free(s);
}

enum err pool_child_send(struct pool_child *c, struct buf *b)
{
    struct send *s = buf_failed(b) ? NULL : calloc(1, sizeof *s);
    uv_buf_t out;
    size_t len = 0;

    if (s == NULL)
        return ERR_NOMEM;
    s->bytes = buf_detach(b, &len);
    out = uv_buf_init(s->bytes, (unsigned)len);
    if (uv_write(&s->req, (uv_stream_t *)&c->socket, &out, 1, on_sent) != 0)
        on_sent(&s->req, 0);
    return ERR_OK;
}

void pool_child_kill(struct pool_child *c)
{
    if (c->started && !c->exited)
        (void)uv_process_kill(&c->process, SIGKILL);
}

int pool_child_pid(const struct pool_child *c)
{
    return c->started ? uv_process_get_pid(&c->process) : 0;
}

/* --- close ----------------------------------------------------------------------------------- */

void pool_child_dismiss(struct pool_child *c)
{
    c->deaf = true;
    c->socket_open = false;
    close_handle(c, (uv_handle_t *)&c->socket);
}

void pool_child_close(struct pool_child **child, void (*on_closed)(void *arg), void *arg)
{
    struct pool_child *c = *child;

    must(!c->started || c->ended);
    *child = NULL;
    c->on_closed = on_closed;
    c->closed_arg = arg;
    close_handle(c, (uv_handle_t *)&c->socket);
    close_handle(c, (uv_handle_t *)&c->err);
    close_handle(c, (uv_handle_t *)&c->drain);
    close_handle(c, (uv_handle_t *)&c->process);
}
