/*
 * contexts.c - see contexts.h.
 *
 * What a process has reserved is no figure anywhere. So every io_setup is added up, as if none were ever given back;
 * only when that passes the bound, contexts are counted. Each shows in /proc/PID/maps as its ring, and the ring's size
 * bounds the number that was asked for. A process can unmap a ring and hide it so: contexts that were made, and neither
 * given back nor seen, count as the largest of that process.
 */
#include "contexts.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROCESSES_MAX 256 /* as many as a box may hold */
#define PAGES_MAX 1024    /* of a ring; two events of 32 bytes are kept for each request: over 65,536 requests */
#define PAGE 4096
#define SHARES 4 /* a target may always have this part of its bound; the rest only while the machine has plenty */

struct owner {
    pid_t process;
    size_t made;                   /* contexts asked for */
    size_t given_back;             /* contexts destroyed */
    size_t largest[PAGES_MAX + 1]; /* the largest number of requests asked for, by pages of the ring that it gives */
};

static struct owner *owners[PROCESSES_MAX];
static size_t reserved; /* requests, as if none were ever given back since they were last counted */

/* Pages of the ring for `requests` (fs/aio.c, ioctx_alloc and aio_setup_ring). */
static size_t ring_pages(size_t requests)
{
    size_t least = (size_t)sysconf(_SC_NPROCESSORS_CONF) * 4;
    size_t events = 2 * (requests > least ? requests : least) + 2;

    return (32 + events * sizeof(struct io_event) + PAGE - 1) / PAGE;
}

/* The device that rings are mapped from, as maps(5) shows it: a file can have the same name, but not on it. */
static const char *ring_device(void)
{
    static char device[16];
    char line[512], name[256];
    aio_context_t own = 0;
    FILE *maps;

    if (*device || syscall(SYS_io_setup, 1, &own) != 0)
        return device;
    maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%*s %*s %*s %15s %*s %255s", device, name) == 2 && strncmp(name, "/[aio]", 6) == 0)
            break;
    if (maps)
        fclose(maps);
    syscall(SYS_io_destroy, own);
    return device;
}

/* Go through the rings of a process: how many there are, and what they can stand for. False when it is gone. `wanted`:
 * the address of one, 0 when it was found. */
static bool count_rings(const struct owner *owner, size_t *rings, size_t *requests, uint64_t *wanted)
{
    char path[64], line[512], name[256], device[16];
    unsigned long long from, to;

    snprintf(path, sizeof path, "/proc/%d/maps", owner->process);
    FILE *maps = fopen(path, "re");
    *rings = *requests = 0;
    if (!maps)
        return false;
    bool any = false;
    while (fgets(line, sizeof line, maps)) {
        any = true;
        if (sscanf(line, "%llx-%llx %*s %*s %15s %*s %255s", &from, &to, device, name) != 4 ||
            strncmp(name, "/[aio]", 6) != 0 || strcmp(device, ring_device()) != 0)
            continue;
        size_t pages = (to - from) / PAGE;
        *rings += 1;
        *requests += owner->largest[pages < PAGES_MAX ? pages : PAGES_MAX];
        if (from == *wanted)
            *wanted = 0;
    }
    fclose(maps);
    return any;
}

static size_t largest_of(const struct owner *owner)
{
    size_t largest = 0;
    for (size_t i = 0; i <= PAGES_MAX; i++)
        if (owner->largest[i] > largest)
            largest = owner->largest[i];
    return largest;
}

/* What all processes have reserved by now. Forgets those that are gone. */
static size_t count_all(void)
{
    size_t sum = 0, rings, requests;

    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (!owners[i])
            continue;
        if (!count_rings(owners[i], &rings, &requests, &(uint64_t){1})) {
            free(owners[i]);
            owners[i] = NULL;
            continue;
        }
        size_t alive = owners[i]->made - owners[i]->given_back;
        sum += requests + (alive > rings ? (alive - rings) * largest_of(owners[i]) : 0);
    }
    return sum;
}

/* The owner of this number, made if `make`; NULL where there is none, or no room for another. */
static struct owner *find_owner(pid_t process, bool make)
{
    struct owner **place = NULL;

    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (owners[i] && owners[i]->process == process)
            return owners[i];
        if (!owners[i] && !place)
            place = &owners[i];
    }
    if (!make || !place || !(*place = calloc(1, sizeof **place)))
        return NULL;
    (*place)->process = process;
    return *place;
}

/* A figure below /proc/sys/fs, SIZE_MAX if it cannot be read. */
static size_t read_figure(const char *path)
{
    size_t figure = SIZE_MAX;
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%zu", &figure) != 1)
        figure = SIZE_MAX;
    if (file)
        fclose(file);
    return figure;
}

/* Whether `requests` more would leave less than half of what the machine has. */
static bool is_scarce(size_t requests)
{
    return read_figure("/proc/sys/fs/aio-nr") + requests > read_figure("/proc/sys/fs/aio-max-nr") / 2;
}

/* Whether the target may not have `requests` more, by what it is said to have reserved. */
static bool is_too_much(size_t requests, size_t most)
{
    size_t wanted = reserved + requests;
    return wanted > most || (wanted > most / SHARES && is_scarce(requests));
}

struct answer contexts_setup(const struct call *call, size_t most)
{
    size_t requests = (unsigned)call->arguments[0];
    struct owner *owner = find_owner(call->process, true);

    if (requests > most || !owner)
        return answer_value(-EAGAIN);
    if (is_too_much(requests, most)) {
        reserved = count_all();
        if (is_too_much(requests, most))
            return answer_value(-EAGAIN);
    }
    size_t pages = ring_pages(requests);
    pages = pages < PAGES_MAX ? pages : PAGES_MAX;
    reserved += requests;
    owner = find_owner(call->process, true); /* counting forgets processes, and a number may come again */
    if (!owner)
        return answer_value(-EAGAIN);
    owner->made++;
    if (requests > owner->largest[pages])
        owner->largest[pages] = requests;
    return answer_run();
}

void contexts_destroy(const struct call *call)
{
    struct owner *owner = find_owner(call->process, false);
    uint64_t ring = call->arguments[0];
    size_t rings, requests;

    if (owner && ring && count_rings(owner, &rings, &requests, &ring) && !ring && owner->given_back < owner->made)
        owner->given_back++;
}
