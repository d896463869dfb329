/*
 * faults.h - which calls are to be hit, and how: the words that the checker gives to enter.c and warden.c alike.
 *
 *   cut:CALLS:MOST:SHARE:WHICH    moves at most MOST bytes (0: no bound) and SHARE of what it could move
 *   refuse:CALLS:ERROR:WHICH      is not run and fails
 *   hold:FIRST                    reads of files that io_submit(2) accepts, from the FIRST-th on, stay under way until
 *                                 they are released
 *   contexts:MOST                 no fault but a bound: io_setup(2) for MOST requests in all, then -EAGAIN
 *
 * CALLS: receive, send, sendfile, accept, submit, wait, getevents, setup; to be cut also aio. SHARE: all, half,
 * all-but-one. WHICH: FIRST:EVERY:CONNECTION, the FIRST-th call (from 1) and every EVERY-th after it (0: none), of
 * those on this CONNECTION (0: of all). Connections are numbered from 1, in the order in which the target first makes a
 * receive, a send or a sendfile on each that the warden is asked about.
 *
 * Each fault counts the calls that it concerns for itself. Several may be due for one call: then the first refusal
 * wins; if there is none, all cuts apply together.
 */
#ifndef BOX_FAULTS_H
#define BOX_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    unsigned first, every, connection;
    unsigned long seen; /* calls that it concerns so far */
    unsigned long hits; /* those among them that it changed */
};

#define FAULTS_MAX 32 /* more than a case may have (cases/case.py) and the bound of contexts */

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

/* What is due for one call. Found out once, when it is first asked about: by that it is counted. */
struct due {
    bool known;
    struct fault *refusal; /* or NULL */
    struct fault *hold;    /* or NULL */
    uint32_t cuts;         /* a bit each, by their places in the list */
};

/* Count one call, and say what is due for it. `connection`: its number; 0: it has none. `blocks`: it may not be told
 * that something is not ready. */
struct due faults_due(struct faults *faults, enum calls calls, unsigned connection, bool blocks);

/* Whether reads by Linux AIO are the warden's: held back, or cut. */
bool faults_take_reads(const struct faults *faults);

/* How many requests contexts may be made for, SIZE_MAX where there is no bound. */
size_t faults_contexts(const struct faults *faults);

/* How many of `size` bytes, at least one, a call may move that these cuts are due for: at least one. */
size_t faults_cut(const struct faults *faults, uint32_t cuts, size_t size);

/* Count that a call moved no more of `size` than that: a hit of the cuts that made it so few, not of a looser one. */
void faults_hit(struct faults *faults, uint32_t cuts, size_t size);

#endif
