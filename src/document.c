/*
 * document.c - openat2, fstat, S_ISREG: in this order, so that what was checked is what is open.
 */
#include "document.h"

#include <errno.h>
#include <fcntl.h>

#include "sys.h"

/* openat2 says EAGAIN when a rename elsewhere might have undone its check of a ".." in a link; the manual page advises
 * to try again a few times. */
#define TRIES_MAX 8

static const struct open_how how = {
    .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
};

static enum finding finding_of_error(int error)
{
    switch (error) {
    case -EACCES:
    case -EPERM:
        return FINDING_FORBIDDEN;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return FINDING_SERVER_EXHAUSTED;
    default:
        return FINDING_NOTHING;
    }
}

enum finding document_open(int root, const char *path, struct document *document)
{
    int fd = -EINTR;
    for (int tries = 0; tries < TRIES_MAX && (fd == -EINTR || fd == -EAGAIN); tries++)
        fd = sys_openat2(root, path, &how);
    if (fd < 0)
        return finding_of_error(fd);

    struct stat status;
    if (sys_fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        sys_close(fd);
        return FINDING_NOTHING;
    }
    *document = (struct document){.fd = fd, .size = (uint64_t)status.st_size, .modified = status.st_mtime};
    return FINDING_FILE;
}
