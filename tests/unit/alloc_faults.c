/*
 * alloc_faults.c - the allocators of the C library, counted and made to fail.
 *
 * A program's own malloc takes precedence over that of the libraries. Below it, glibc has the same functions under
 * names of their own, and so has AddressSanitizer: its bookkeeping stays whole, free needs no counterpart.
 */
#include "alloc_faults.h"

#include <stddef.h>

/* gcc says it by a macro, clang by a feature. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define LOWER(name) __interceptor_##name
#else
#define LOWER(name) __libc_##name
#endif

void *LOWER(malloc)(size_t size);
void *LOWER(calloc)(size_t count, size_t size);
void *LOWER(realloc)(void *old, size_t size);
void LOWER(free)(void *memory);

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void free(void *memory);

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static long alive;
static unsigned seen;
static unsigned first_to_fail; /* 0: none */
static bool later_ones_fail;

void fail_next_allocation(void)
{
    fail_allocation(1, false);
}

void fail_allocation(unsigned nth, bool for_ever)
{
    seen = 0;
    first_to_fail = nth;
    later_ones_fail = for_ever;
}

unsigned allocations_seen(void)
{
    return seen;
}

long allocations_alive(void)
{
    return alive;
}

bool memory_leaked(void)
{
    return __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check() != 0;
}

static bool fails_now(void)
{
    seen++;
    return first_to_fail && (seen == first_to_fail || (later_ones_fail && seen > first_to_fail));
}

static void *count(void *memory)
{
    alive += memory != NULL;
    return memory;
}

void *malloc(size_t size)
{
    return fails_now() ? NULL : count(LOWER(malloc)(size));
}

void *calloc(size_t number, size_t size)
{
    return fails_now() ? NULL : count(LOWER(calloc)(number, size));
}

void *realloc(void *old, size_t size)
{
    if (fails_now())
        return NULL;
    void *memory = LOWER(realloc)(old, size);
    return old ? memory : count(memory);
}

void free(void *memory)
{
    alive -= memory != NULL;
    LOWER(free)(memory);
}
