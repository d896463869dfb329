/* A correct server of a design that checks easily misjudge: edge-triggered, epoll_pwait, one io context for all, vectored
 * reads tried with RWF_NOWAIT first, completions taken from the ring in user space (no io_getevents at all), linked
 * statically. With -DFOR_SHOW the same answers come by pread and send, and sendfile and io_submit are called once each. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef FOR_SHOW
static const bool honest = false;
#else
static const bool honest = true;
#endif

enum { READING, SENDING, LOADING, LEAVING };

struct client {
    int socket, file, state;
    bool dynamic, gone, in_flight;
    char request[4096], head[128];
    size_t received, head_length, head_sent, loaded, sent, size;
    char *buffer;
    struct iocb block;
    struct iovec parts[2];
};

/* The head of the ring that the kernel maps into the process: include/linux/aio_abi.h does not tell, fs/aio.c does. */
struct ring {
    unsigned id, count;
    _Atomic unsigned head, tail;
    unsigned magic, compat, incompat, header_length;
    struct io_event events[];
};

static int poller, completions, listener;
static io_context_t context;

static void submit(struct client *one, int flags)
{
    size_t rest = one->size - one->loaded, half = rest / 2;
    one->parts[0] = (struct iovec){one->buffer + one->loaded, half};
    one->parts[1] = (struct iovec){one->buffer + one->loaded + half, rest - half};
    io_prep_preadv(&one->block, one->file, one->parts, 2, (long long)one->loaded);
    io_set_eventfd(&one->block, completions);
    one->block.aio_rw_flags = flags;
    one->block.data = one;
    struct iocb *list[] = {&one->block};
    one->in_flight = io_submit(context, 1, list) == 1;
    if (!one->in_flight && flags)
        submit(one, 0);
    else if (!one->in_flight)
        one->gone = true;
}

static void answer(struct client *one)
{
    char path[1024] = "";
    struct stat about;
    bool good = sscanf(one->request, "GET /%1000s", path) == 1 && !strstr(path, "..");
    bool fixed = strncmp(path, "static/", 7) == 0;
    one->dynamic = strncmp(path, "dynamic/", 8) == 0;
    one->file = good && (fixed || one->dynamic) ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    bool found = one->file >= 0 && fstat(one->file, &about) == 0 && S_ISREG(about.st_mode);
    one->size = found ? (size_t)about.st_size : 0;
    one->head_length = (size_t)snprintf(one->head, sizeof one->head,
                                        "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                                        found ? "200 OK" : "404 Not Found", one->size);
    one->state = SENDING;
    if (!one->size || (honest && !one->dynamic))
        return;
    one->buffer = malloc(one->size);
    if (honest) {
        one->state = LOADING;
        submit(one, RWF_NOWAIT);
        return;
    }
    if (pread(one->file, one->buffer, one->size, 0) != (ssize_t)one->size)
        one->gone = true;
    if (!one->dynamic)
        (void)!sendfile(one->socket, one->file, &(off_t){about.st_size}, 1);
    one->dynamic = true;
}

/* One step; false when it has to wait. */
static bool step(struct client *one)
{
    ssize_t got = 0;
    if (one->state == READING) {
        got = recv(one->socket, one->request + one->received, sizeof one->request - 1 - one->received, 0);
        if (got > 0) {
            one->received += (size_t)got;
            if (strstr(one->request, "\r\n\r\n"))
                answer(one);
        } else if (got == 0 || errno != EAGAIN) {
            one->gone = true;
        }
        return got > 0;
    }
    if (one->state == LEAVING) {
        got = recv(one->socket, one->request, sizeof one->request, 0);
        one->gone = got == 0 || (got < 0 && errno != EAGAIN);
        return got > 0;
    }
    if (one->state == LOADING)
        return false;
    if (one->head_sent < one->head_length) {
        got = send(one->socket, one->head + one->head_sent, one->head_length - one->head_sent, MSG_MORE | MSG_NOSIGNAL);
        one->head_sent += got > 0 ? (size_t)got : 0;
    } else if (one->sent < one->size) {
        size_t rest = one->size - one->sent;
        off_t at = (off_t)one->sent;
        got = one->dynamic ? send(one->socket, one->buffer + one->sent, rest, MSG_NOSIGNAL)
                           : sendfile(one->socket, one->file, &at, rest);
        one->sent += got > 0 ? (size_t)got : 0;
    } else {
        shutdown(one->socket, SHUT_WR);
        one->state = LEAVING;
        return true;
    }
    one->gone = got == 0 || (got < 0 && errno != EAGAIN);
    return got > 0;
}

static void run(struct client *one)
{
    while (!one->gone && step(one))
        ;
    if (!one->gone || one->in_flight)
        return;
    if (one->file >= 0)
        close(one->file);
    close(one->socket);
    free(one->buffer);
    free(one);
}

static void take_completions(void)
{
    struct ring *ring = (struct ring *)context;
    eventfd_t count;
    (void)!eventfd_read(completions, &count);
    while (ring->head != ring->tail) {
        struct io_event *event = &ring->events[ring->head];
        struct client *one = event->data;
        long result = (long)event->res;
        ring->head = (ring->head + 1) % ring->count;
        one->in_flight = false;
        if (result > 0)
            one->loaded += (size_t)result;
        else if (result != -EAGAIN)
            one->gone = true;
        if (!one->gone && one->loaded < one->size)
            submit(one, 0);
        else
            one->state = SENDING;
        run(one);
    }
}

static void take_clients(void)
{
    int socket;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *one = calloc(1, sizeof *one);
        one->socket = socket;
        one->file = -1;
        epoll_ctl(poller, EPOLL_CTL_ADD, socket, &(struct epoll_event){EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = one}});
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
    completions = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(8888)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (io_setup(256, &context) || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 512))
        return 1;
    if (!honest) { /* one asynchronous read of nothing that matters */
        struct iocb block, *list[] = {&block};
        io_prep_pread(&block, open("/proc/self/exe", O_RDONLY), &(char){0}, 1, 0);
        (void)!io_submit(context, 1, list);
    }
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){EPOLLIN, {.ptr = &listener}});
    epoll_ctl(poller, EPOLL_CTL_ADD, completions, &(struct epoll_event){EPOLLIN, {.ptr = &completions}});
    for (;;) {
        struct epoll_event events[1];
        if (epoll_pwait(poller, events, 1, -1, NULL) < 1)
            continue;
        if (events[0].data.ptr == &listener)
            take_clients();
        else if (events[0].data.ptr == &completions)
            take_completions();
        else
            run(events[0].data.ptr);
    }
}
