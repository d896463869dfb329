/*
 * document.c - open, fstat, S_ISREG: in this order, so that what was checked is what is open.
 */
#include "document.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "sys.h"

/* openat2 says EAGAIN when a rename elsewhere might have undone its check of a ".." in a link; the manual page advises
 * to try again a few times. */
#define TRIES_MAX 8

#define READ_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

static const struct open_how how = {
    .flags = READ_FLAGS,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
};

/* One segment; a signal may come first. */
static int open_segment(int directory, const char *name, int flags)
{
    int fd = -EINTR;
    for (int tries = 0; tries < TRIES_MAX && fd == -EINTR; tries++)
        fd = sys_openat(directory, name, flags | O_NOFOLLOW);
    return fd;
}

/* Open `path` below `root` without openat2: segment by segment, following no link at all. `path` is relative and has no
 * "." and ".." segments (resource.h). */
static int open_without_links(int root, const char *path)
{
    int directory = root;
    for (;;) {
        char name[NAME_MAX + 1];
        size_t length = strcspn(path, "/");
        int fd = -ENAMETOOLONG;
        bool last = path[length] == '\0';

        if (length < sizeof name) {
            memcpy(name, path, length);
            name[length] = '\0';
            fd = open_segment(directory, name, last ? READ_FLAGS : O_PATH | O_DIRECTORY | O_CLOEXEC);
        }
        if (directory != root)
            sys_close(directory);
        if (fd < 0 || last)
            return fd;
        directory = fd;
        path += length + 1;
    }
}

static int open_beneath(int root, const char *path)
{
    int fd = -EINTR;
    for (int tries = 0; tries < TRIES_MAX && (fd == -EINTR || fd == -EAGAIN); tries++)
        fd = sys_openat2(root, path, &how);
    /* Linux before 5.6, and valgrind 3.19. */
    return fd == -ENOSYS ? open_without_links(root, path) : fd;
}

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
    int fd = open_beneath(root, path);
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
