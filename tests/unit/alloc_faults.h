/*
 * alloc_faults.h - memory that runs out when a test says so.
 *
 * malloc, calloc, realloc and free of every unit program go through here and on to the C library, or to
 * AddressSanitizer where the program is built with it. The code under test is linked as it is shipped.
 */
#ifndef AWS_ALLOC_FAULTS_H
#define AWS_ALLOC_FAULTS_H

#include <stdbool.h>

/* Let the next allocation of this process return NULL, and only that one. */
void fail_next_allocation(void);

/* Let the `nth` allocation from now on (1: the next) fail, and all later ones if `for_ever`; 0: none. Starts counting
 * anew. */
void fail_allocation(unsigned nth, bool for_ever);

/* Allocations since the last call of the two above, failed ones included. */
unsigned allocations_seen(void);

/* Allocations of the process that were not freed yet. */
long allocations_alive(void);

/* Whether memory is lost: allocated, and no longer to be reached from anywhere. LeakSanitizer says so, on standard
 * error in full; without it the answer is false. To be asserted inside a test: at its end it would change no verdict.
 */
bool memory_leaked(void);

#endif
