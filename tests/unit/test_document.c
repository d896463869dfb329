/*
 * test_document.c - opening what is below the root: every refusal, and systems without openat2.
 */
#include "document.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "fake_sys.h"
#include "unit.h"

#define ROOT 3
#define FD 4

/* Never waits, never becomes a child's, never a controlling terminal. */
#define READ_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
#define FOLDER_FLAGS (O_NOFOLLOW | O_PATH | O_DIRECTORY | O_CLOEXEC)
#define RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)

/* How often openat2 is tried in all. */
#define TRIES 8

static const struct stat regular = {.st_mode = S_IFREG | 0644};

static enum finding open_document(const char *path)
{
    struct document document;
    return document_open(ROOT, path, &document);
}

Test(document, a_regular_file_is_opened_beneath_the_root)
{
    struct document document;
    expect(openat2, WITH(ROOT, READ_FLAGS, RESOLVE), .path = "static/a b", .result = FD);
    expect(fstat, WITH(FD),
           .status = {.st_mode = S_IFREG | 0600, .st_size = ((off_t)1 << 40) + 1, .st_mtime = 784111777});

    cr_assert(eq(int, document_open(ROOT, "static/a b", &document), FINDING_FILE));
    cr_assert(eq(int, document.fd, FD));
    cr_assert(eq(u64, document.size, ((uint64_t)1 << 40) + 1));
    cr_assert(eq(i64, document.modified, 784111777));
    script_is_over();
}

Test(document, every_refusal_is_nothing_forbidden_or_exhausted)
{
    const struct {
        int error;
        enum finding finding;
    } rows[] = {
        {ENOENT, FINDING_NOTHING},          {ENOTDIR, FINDING_NOTHING},
        {EISDIR, FINDING_NOTHING},          {ELOOP, FINDING_NOTHING},
        {EXDEV, FINDING_NOTHING},                                     /* RESOLVE_BENEATH: it leads out of the root */
        {ENAMETOOLONG, FINDING_NOTHING},    {ENXIO, FINDING_NOTHING}, /* a socket, or a device without a driver */
        {ENODEV, FINDING_NOTHING},          {EIO, FINDING_NOTHING},
        {EOVERFLOW, FINDING_NOTHING},       {EINVAL, FINDING_NOTHING},
        {EACCES, FINDING_FORBIDDEN},        {EPERM, FINDING_FORBIDDEN},
        {EMFILE, FINDING_SERVER_EXHAUSTED}, {ENFILE, FINDING_SERVER_EXHAUSTED},
        {ENOMEM, FINDING_SERVER_EXHAUSTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect(openat2, .result = -rows[i].error);
        cr_expect(eq(int, open_document("static/a"), rows[i].finding), "of errno %d", rows[i].error);
        script_is_over();
    }
}

Test(document, what_is_not_a_regular_file_is_closed_and_nothing)
{
    const mode_t modes[] = {S_IFDIR, S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK, S_IFLNK, 0};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        expect(openat2, .result = FD);
        expect(fstat, WITH(FD), .status = {.st_mode = modes[i] | 0777});
        expect(close, WITH(FD));
        cr_expect(eq(int, open_document("static/a"), FINDING_NOTHING), "of mode %o", modes[i]);
        script_is_over();
    }
}

Test(document, a_file_whose_status_is_unknown_is_closed_and_nothing)
{
    expect(openat2, .result = FD);
    expect(fstat, WITH(FD), .result = -EIO);
    expect(close, WITH(FD));
    cr_assert(eq(int, open_document("static/a"), FINDING_NOTHING));
    script_is_over();
}

Test(document, a_signal_and_a_rename_elsewhere_are_tried_again)
{
    expect(openat2, .path = "static/a", .result = -EINTR);
    expect(openat2, .path = "static/a", .result = -EAGAIN);
    expect(openat2, .path = "static/a", .result = FD);
    expect(fstat, WITH(FD), .status = regular);
    cr_assert(eq(int, open_document("static/a"), FINDING_FILE));
    script_is_over();
}

Test(document, it_is_not_tried_for_ever)
{
    const int errors[] = {EINTR, EAGAIN};
    for (int i = 0; i < 2; i++) {
        for (int tries = 0; tries < TRIES; tries++)
            expect(openat2, .result = -errors[i]);
        cr_expect(eq(int, open_document("static/a"), FINDING_NOTHING), "of errno %d", errors[i]);
        script_is_over();
    }
}

/* --- Linux before 5.6 -------------------------------------------------------------------------------------------- */

Test(document, without_openat2_each_segment_is_opened_and_no_link_followed)
{
    expect(openat2, .result = -ENOSYS);
    expect(openat, WITH(ROOT, FOLDER_FLAGS), .path = "static", .result = 10);
    expect(openat, WITH(10, FOLDER_FLAGS), .path = "sub", .result = 11);
    expect(close, WITH(10));
    expect(openat, WITH(11, O_NOFOLLOW | READ_FLAGS), .path = "deep.dat", .result = FD);
    expect(close, WITH(11));
    expect(fstat, WITH(FD), .status = regular);
    cr_assert(eq(int, open_document("static/sub/deep.dat"), FINDING_FILE));
    script_is_over();
}

Test(document, without_openat2_a_refusal_leaves_nothing_open)
{
    expect(openat2, .result = -ENOSYS);
    expect(openat, WITH(ROOT), .path = "static", .result = -EACCES);
    cr_assert(eq(int, open_document("static/a"), FINDING_FORBIDDEN));
    script_is_over();

    expect(openat2, .result = -ENOSYS);
    expect(openat, WITH(ROOT), .path = "static", .result = 10);
    expect(openat, WITH(10), .path = "link", .result = -ELOOP);
    expect(close, WITH(10));
    cr_assert(eq(int, open_document("static/link/a"), FINDING_NOTHING));
    script_is_over();

    expect(openat2, .result = -ENOSYS);
    expect(openat, WITH(ROOT), .path = "static", .result = 10);
    expect(openat, WITH(10), .path = "a", .result = -EMFILE);
    expect(close, WITH(10));
    cr_assert(eq(int, open_document("static/a"), FINDING_SERVER_EXHAUSTED));
    script_is_over();
}

Test(document, without_openat2_a_name_of_255_bytes_fits_and_no_longer_one)
{
    for (size_t length = NAME_MAX; length <= NAME_MAX + 1; length++) {
        char path[600] = "static/";
        char *name = path + strlen(path);
        memset(name, 'n', length);

        expect(openat2, .result = -ENOSYS);
        expect(openat, WITH(ROOT), .path = "static", .result = 10);
        if (length == NAME_MAX)
            expect(openat, WITH(10), .path = name, .result = -ENOENT);
        expect(close, WITH(10));
        cr_assert(eq(int, open_document(path), FINDING_NOTHING), "%zu bytes", length);
        script_is_over();
    }
}

Test(document, without_openat2_a_signal_is_tried_again_too)
{
    expect(openat2, .result = -ENOSYS);
    expect(openat, WITH(ROOT), .path = "static", .result = -EINTR);
    expect(openat, WITH(ROOT), .path = "static", .result = 10);
    expect(openat, WITH(10), .path = "a", .result = -EINTR);
    expect(openat, WITH(10), .path = "a", .result = FD);
    expect(close, WITH(10));
    expect(fstat, WITH(FD), .status = regular);
    cr_assert(eq(int, open_document("static/a"), FINDING_FILE));
    script_is_over();
}

Test(document, without_openat2_it_is_not_tried_for_ever_either)
{
    expect(openat2, .result = -ENOSYS);
    for (int tries = 0; tries < TRIES; tries++)
        expect(openat, WITH(ROOT), .path = "static", .result = -EINTR);
    cr_assert(eq(int, open_document("static/a"), FINDING_NOTHING));
    script_is_over();
}
