/*
 * queue.h - reads by Linux AIO, run here in the kernel's place: so they can be held back, fail or come short.
 *
 *   io_submit      taken over; the target's file and eventfd stay open here while the read is under way
 *   completion     bytes into the target's buffer, the event into the target's ring, its eventfd counted up
 *   io_getevents   answered from that ring, or kept waiting
 *   io_destroy     kept waiting until no read of the context is under way, as in the kernel
 *
 * The ring is the memory that io_setup(2) mapped into the target (fs/aio.c, struct aio_ring). The kernel goes on
 * reading it, and so may the target: as no read of this context ever reaches the kernel, it is ours to write.
 */
#ifndef BOX_QUEUE_H
#define BOX_QUEUE_H

#include "faults.h"
#include "target.h"

/* Whether something happened since the last time that calls which wait for the queue may have waited for. */
bool queue_changed(void);

/* io_submit(2), once it is not refused. `cuts`: those that are due for it. */
struct answer queue_submit(const struct call *call, struct faults *faults, uint32_t cuts);

/* io_getevents(2) and io_pgetevents(2). `expired`: it has waited as long as it wanted to. */
struct answer queue_take(const struct call *call, bool expired);

/* io_destroy(2). */
struct answer queue_destroy(const struct call *call);

/* Complete at most `count` of the reads held, those first submitted first, or `last_first`; `error` (an errno) is what
 * becomes of them, or 0. With `all` nothing is held from here on. */
void queue_release(struct faults *faults, unsigned long count, bool all, int error, bool last_first);

/* How many reads are held for processes that are still there. */
unsigned long queue_held(void);

/* Whether a target used its queue for something that is not done here (writes, polls): nothing can be said of it. */
bool queue_unfit(void);

#endif
