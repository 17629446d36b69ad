/* base: the few macros that every file may use. */
#ifndef SHARED_BASE_H
#define SHARED_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST_USE                   __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a)          __attribute__((format(printf, f, a)))
#define AUTO(destroy)              __attribute__((cleanup(destroy)))
#define CONTAINER(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))
#define COUNT_OF(array)            (sizeof(array) / sizeof((array)[0]))

/* The file VERSION, as the Makefile passes it on. */
#define BASE_TEXT(x)     #x
#define BASE_TEXT_OF(x)  BASE_TEXT(x)
#define MILLRACE_VERSION BASE_TEXT_OF(MILLRACE_VERSION_NUMBER)

/* must() states what cannot happen. It is never compiled out. */
#define must(x) ((x) ? (void)0 : must_failed(#x, __FILE__, __LINE__))
_Noreturn void must_failed(const char *what, const char *file, int line);

#endif
