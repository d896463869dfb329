/*
 * io.h - what the result of a receive or a send means, sorted once for every caller.
 */
#ifndef AWS_IO_H
#define AWS_IO_H

#include <sys/types.h>

enum io_verdict {
    IO_PROGRESS,    /* that many bytes moved, perhaps fewer than asked */
    IO_AGAIN,       /* nothing now: wait until epoll says so */
    IO_INTERRUPTED, /* a signal came first: try again at once */
    IO_END,         /* 0: the peer's end of a stream, or of a file that shrank */
    IO_GONE,        /* the peer left; nothing to report */
    IO_FAILED,      /* anything else: this connection cannot go on */
};

/* Judge `result` of a sys_ function that moves bytes: a count or a negative errno (recv(2), send(2), sendfile(2)). */
enum io_verdict io_judge(ssize_t result);

#endif
