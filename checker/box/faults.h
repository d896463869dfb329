/*
 * faults.h - which calls are to be hit, and how: the words that the checker gives to enter.c and warden.c alike.
 *
 *   cut:CALLS:MOST:SHARE            each call moves at most MOST bytes (0: no bound) and SHARE of what it could move
 *   refuse:CALLS:ERROR:FIRST:EVERY  the FIRST-th call, and every EVERY-th after it (0: none), is not run and fails
 *   hold                            reads of files that io_submit(2) accepts stay under way until they are released
 *   contexts:MOST                   no fault but a bound: io_setup(2) for MOST requests in all, then -EAGAIN
 *
 * CALLS: receive, send, sendfile, accept, submit, wait, getevents, setup; to be cut also aio. SHARE: all, half,
 * all-but-one.
 */
#ifndef BOX_FAULTS_H
#define BOX_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

enum calls {
    CALLS_RECEIVE,
    CALLS_SEND,
    CALLS_SENDFILE,
    CALLS_ACCEPT,
    CALLS_SUBMIT,
    CALLS_WAIT,
    CALLS_GETEVENTS,
    CALLS_AIO,
    CALLS_SETUP,
    CALLS_DESTROY,
    CALLS_OTHER
};

enum share { SHARE_ALL, SHARE_HALF, SHARE_ALL_BUT_ONE };

enum fault_kind { FAULT_CUT, FAULT_REFUSE, FAULT_HOLD, FAULT_CONTEXTS };

struct fault {
    enum fault_kind kind;
    enum calls calls;
    size_t most;
    enum share share;
    int error;
    unsigned first, every;
    unsigned long seen; /* calls of this kind so far */
    unsigned long hits; /* those among them that the fault changed */
};

#define FAULTS_MAX 8

struct faults {
    size_t count;
    struct fault list[FAULTS_MAX];
};

/* Read `count` words. False if there is one that this file does not know, or too many. */
bool faults_read(struct faults *faults, size_t count, char *const words[]);

/* Which calls the system call `number` belongs to. */
enum calls faults_calls(long number);

/* Whether the warden must be asked about the system call `number`. */
bool faults_concern(const struct faults *faults, long number);

/* The fault of this kind for these calls, or NULL. */
struct fault *faults_find(struct faults *faults, enum fault_kind kind, enum calls calls);

/* Whether reads by Linux AIO are the warden's: held back, or cut. */
bool faults_take_reads(const struct faults *faults);

/* How many of `size` bytes, at least one, a cut call may move: at least one. */
size_t fault_cut(const struct fault *fault, size_t size);

/* Count one call; whether it is one of those to refuse. */
bool fault_refuses(struct fault *fault);

#endif
