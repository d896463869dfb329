/*
 * unit.h - Criterion, made fit for this house's warnings.
 */
#ifndef AWS_UNIT_H
#define AWS_UNIT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdint.h>

/* Each of Criterion's assertions stores an int in a bit field. */
#pragma GCC diagnostic ignored "-Wconversion"

/* A string for eq(str, ...), which wants char * and only looks at it. */
static inline char *text(const char *string)
{
    return (char *)(uintptr_t)string;
}

#endif
