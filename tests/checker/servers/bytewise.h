/*
 * bytewise.h - before a good server's source (gcc -include): it receives a byte at a time and sends a head in pieces, as
 * a right server may. So it makes more of these calls before a body than others do.
 */
#include <sys/socket.h>

#define HEAD 600 /* bytes, and all bodies are longer but that of a 404 */
#define PIECE 20

static inline ssize_t bytewise_recv(int fd, void *data, size_t size, int flags)
{
    return recv(fd, data, size ? 1 : 0, flags);
}

static inline ssize_t bytewise_send(int fd, const void *data, size_t size, int flags)
{
    return send(fd, data, size > PIECE && size < HEAD ? PIECE : size, flags);
}

#define recv bytewise_recv
#define send bytewise_send
