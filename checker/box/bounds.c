/*
 * bounds.c - see bounds.h. Landlock: landlock(7).
 */
#include "bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* headers older than Linux 6.2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define WRITING (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define CHANGING                                                                                                       \
    (WRITING | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |         \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                        \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM |                      \
     LANDLOCK_ACCESS_FS_REFER)

static const struct {
    const char *name;
    int resource;
} limits[] = {
    {"core", RLIMIT_CORE},   {"cpu", RLIMIT_CPU},       {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
};

/* What follows `prefix` in `word`, or NULL. */
static const char *after(const char *word, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(word, prefix, length) == 0 ? word + length : NULL;
}

bool bounds_know(const char *word)
{
    return after(word, "limit:") || after(word, "oom:") || after(word, "write:") || after(word, "keep:");
}

static int set_limit(const char *text)
{
    char name[16];
    unsigned long long value;
    int end = 0;

    if (sscanf(text, "%15[a-z]:%llu%n", name, &value, &end) != 2 || text[end])
        return -EINVAL;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (strcmp(name, limits[i].name) == 0)
            return setrlimit((__rlimit_resource_t)limits[i].resource, &(struct rlimit){value, value}) ? -errno : 0;
    return -EINVAL;
}

static int set_oom_score(const char *text)
{
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    int error = write(file, text, strlen(text)) < 0 ? -errno : 0;
    close(file);
    return error;
}

/* Allow `access` below `path` in the ruleset. */
static int allow(int ruleset, const char *path, uint64_t access)
{
    int folder = open(path, O_PATH | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = folder};
    long done = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int error = done ? -errno : 0;
    close(folder);
    return error;
}

/* What may be forbidden here: truncating can be since the third version, moving between folders since the second. */
static uint64_t known_accesses(long version)
{
    uint64_t all = CHANGING;
    if (version < 3)
        all &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
    if (version < 2)
        all &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
    return all;
}

static int restrict_changes(size_t count, char *const words[], const char **failed)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return -errno;
    uint64_t all = known_accesses(version);
    struct landlock_ruleset_attr attributes = {.handled_access_fs = all};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (ruleset < 0)
        return -errno;
    int error = 0;
    for (size_t i = 0; i < count && !error; i++) {
        const char *path;
        *failed = words[i];
        if ((path = after(words[i], "write:")))
            error = allow(ruleset, path, all);
        else if ((path = after(words[i], "keep:")))
            error = allow(ruleset, path, all & WRITING);
    }
    if (!error && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, ruleset, 0)))
        error = -errno;
    close(ruleset);
    return error;
}

int bounds_set(size_t count, char *const words[], const char **failed)
{
    bool restricts = false;

    for (size_t i = 0; i < count; i++) {
        const char *text;
        int error = 0;
        *failed = words[i];
        if ((text = after(words[i], "limit:")))
            error = set_limit(text);
        else if ((text = after(words[i], "oom:")))
            error = set_oom_score(text);
        else
            restricts |= after(words[i], "write:") || after(words[i], "keep:");
        if (error)
            return error;
    }
    return restricts ? restrict_changes(count, words, failed) : 0;
}
