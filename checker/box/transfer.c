/*
 * transfer.c - see transfer.h. The bytes go through one buffer here; the connection is a duplicate of the target's
 * descriptor, held for the length of a call only: while it is open, the target's close would not end the connection.
 */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ONCE_MAX (1 << 20) /* bytes moved in one call: more than a socket takes at once */
#define CONNECTIONS_MAX 1000

static char buffer[ONCE_MAX];

/* What a receive or a send is about, whichever of the calls it is. */
struct request {
    struct iovec pieces[IOV_MAX];
    size_t count;
    size_t size;
    int flags;
    uint64_t message; /* where its struct msghdr is, or 0 */
    uint64_t length;  /* where recvfrom(2) says how long the address is, or 0 */
};

static size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Fill in `request`. False where it holds something that is not done here: the kernel is to judge, or to do it. */
static bool read_request(const struct call *call, struct request *request)
{
    const uint64_t *arguments = call->arguments;
    uint64_t array = arguments[1];
    struct msghdr message;

    *request = (struct request){.count = arguments[2]};
    switch (call->number) {
    case SYS_recvfrom:
    case SYS_sendto:
        request->flags = (int)arguments[3];
        request->length = call->number == SYS_recvfrom && arguments[4] ? arguments[5] : 0; /* fall through */
    case SYS_read:
    case SYS_write:
        request->pieces[0] = (struct iovec){(void *)(uintptr_t)arguments[1], arguments[2]};
        request->count = 1;
        break;
    case SYS_recvmsg:
    case SYS_sendmsg:
        if (!target_read(call->process, arguments[1], &message, sizeof message) || message.msg_controllen)
            return false;
        request->flags = (int)arguments[2];
        request->message = arguments[1];
        request->count = message.msg_iovlen;
        array = (uint64_t)(uintptr_t)message.msg_iov; /* fall through */
    default:
        if (request->count > IOV_MAX ||
            !target_read(call->process, array, request->pieces, request->count * sizeof *request->pieces))
            return false;
    }
    for (size_t i = 0; i < request->count; i++)
        request->size += smaller(request->pieces[i].iov_len, SSIZE_MAX - request->size);
    return request->size > 0;
}

/* Whether `fd` is one end of a TCP connection. */
static bool is_connection(int fd)
{
    int domain = 0, kind = 0, listens = 1;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain}) == 0 &&
           (domain == AF_INET || domain == AF_INET6) &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &(socklen_t){sizeof kind}) == 0 && kind == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &(socklen_t){sizeof listens}) == 0 && !listens;
}

/* The number of a connection: all first calls on one come through here. 0: it is past those that have one. The kernel
 * names each socket differently (socket(7), SO_COOKIE), also one whose descriptor has had another. */
static unsigned number_of(int fd)
{
    static uint64_t known[CONNECTIONS_MAX];
    static unsigned count;
    uint64_t cookie = 0;
    unsigned at = 0;

    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &(socklen_t){sizeof cookie});
    while (at < count && known[at] != cookie)
        at++;
    if (at == CONNECTIONS_MAX)
        return 0;
    if (at == count)
        known[count++] = cookie;
    return at + 1;
}

static bool is_blocking(int fd)
{
    return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* What a call on `fd` comes to that could not go on: it fails, or waits as it would in the kernel. */
static struct answer not_ready(int fd, short events, bool blocks)
{
    return blocks ? answer_wait(target_keep(dup(fd)), events, -1) : answer_value(-EAGAIN);
}

static struct answer receive(const struct call *call, struct faults *faults, uint32_t cuts, int fd)
{
    struct request request;
    int available = 0;

    if (!read_request(call, &request) || request.flags & ~(MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL))
        return answer_run();
    ioctl(fd, FIONREAD, &available);
    size_t could = smaller(request.size, available > 0 ? (size_t)available : 1);
    size_t size = smaller(faults_cut(faults, cuts, could), ONCE_MAX);
    ssize_t got = recv(fd, buffer, size, (request.flags & MSG_PEEK) | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return not_ready(fd, POLLIN, is_blocking(fd) && !(request.flags & MSG_DONTWAIT));
    if (got < 0)
        return answer_value(-errno);
    if (got > 0 && target_scatter(call->process, request.pieces, request.count, buffer, (size_t)got) < got)
        return answer_value(-EFAULT);
    /* As tcp_recvmsg leaves them: a stream has no address to tell. */
    if (request.length)
        target_write(call->process, request.length, &(socklen_t){0}, sizeof(socklen_t));
    if (request.message) {
        target_write(call->process, request.message + offsetof(struct msghdr, msg_namelen), &(socklen_t){0},
                     sizeof(socklen_t));
        target_write(call->process, request.message + offsetof(struct msghdr, msg_flags), &(int){0}, sizeof(int));
    }
    if (got > 0 && (size_t)got < could)
        faults_hit(faults, cuts, could);
    return answer_value(got);
}

static struct answer send_some(const struct call *call, struct faults *faults, uint32_t cuts, int fd)
{
    struct request request;

    if (!read_request(call, &request) || request.flags & ~(MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL))
        return answer_run();
    size_t size = smaller(faults_cut(faults, cuts, request.size), ONCE_MAX);
    ssize_t got = target_gather(call->process, request.pieces, request.count, buffer, size);
    if (got <= 0)
        return answer_value(-EFAULT);
    ssize_t sent = send(fd, buffer, (size_t)got, (request.flags & MSG_MORE) | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return not_ready(fd, POLLOUT, is_blocking(fd) && !(request.flags & MSG_DONTWAIT));
    if (sent < 0) {
        int error = errno;
        if (error == EPIPE && !(request.flags & MSG_NOSIGNAL))
            target_break_pipe(call->process);
        return answer_value(-error);
    }
    if ((size_t)sent == size)
        faults_hit(faults, cuts, request.size);
    return answer_value(sent);
}

static struct answer send_file(const struct call *call, struct faults *faults, uint32_t cuts, int fd)
{
    uint64_t place = call->arguments[2], size = call->arguments[3];
    off_t offset = 0;
    struct pollfd room = {.fd = fd, .events = POLLOUT};

    if (!size || (place && !target_read(call->process, place, &offset, sizeof offset)))
        return answer_run();
    if (poll(&room, 1, 0) == 0) /* asked first: on a blocking connection sendfile(2) would hold up the warden */
        return not_ready(fd, POLLOUT, is_blocking(fd));
    int file = target_descriptor(call->process, (int)call->arguments[1]);
    if (file < 0)
        return answer_value(file);
    size_t part = smaller(faults_cut(faults, cuts, size), ONCE_MAX);
    ssize_t sent = sendfile(fd, file, place ? &offset : NULL, part);
    int error = errno;
    close(file);
    if (sent < 0) {
        if (error == EPIPE)
            target_break_pipe(call->process);
        return answer_value(-error);
    }
    if (place)
        target_write(call->process, place, &offset, sizeof offset);
    if ((size_t)sent == part)
        faults_hit(faults, cuts, size);
    return answer_value(sent);
}

static struct answer refuse(const struct call *call, struct fault *refusal, int fd)
{
    refusal->hits++;
    if (refusal->error == EAGAIN)
        target_ready_again(call->process, (int)call->arguments[0], fd);
    return answer_value(-refusal->error);
}

/* A call on a connection, of which `fd` is our duplicate. */
static struct answer transfer_on(const struct call *call, struct faults *faults, struct due *due, int fd)
{
    enum calls calls = faults_calls(call->number);

    if (!due->known)
        *due = faults_due(faults, calls, number_of(fd), is_blocking(fd));
    if (due->refusal)
        return refuse(call, due->refusal, fd);
    if (!due->cuts)
        return answer_run();
    if (calls == CALLS_RECEIVE)
        return receive(call, faults, due->cuts, fd);
    return calls == CALLS_SEND ? send_some(call, faults, due->cuts, fd) : send_file(call, faults, due->cuts, fd);
}

struct answer transfer(const struct call *call, struct faults *faults, struct due *due)
{
    int fd = target_descriptor(call->process, (int)call->arguments[0]);
    if (fd < 0)
        return answer_run();
    struct answer answer = is_connection(fd) ? transfer_on(call, faults, due, fd) : answer_run();
    close(fd);
    return answer;
}

struct answer transfer_accept(const struct call *call, struct faults *faults)
{
    int fd = target_descriptor(call->process, (int)call->arguments[0]);
    if (fd < 0)
        return answer_run();
    struct due due = faults_due(faults, CALLS_ACCEPT, 0, is_blocking(fd));
    struct answer answer = due.refusal ? refuse(call, due.refusal, fd) : answer_run();
    close(fd);
    return answer;
}
