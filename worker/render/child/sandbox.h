/* sandbox: what is left to a process that parses hostile bytes: its own memory, its pipe,
 * and two directories. Nothing can be undone; whoever breaks in is held by the kernel.
 *
 *   limits  RLIMIT_AS (memory), RLIMIT_FSIZE, RLIMIT_NOFILE, no core file
 *   files   Landlock: reads in <dir>/in, and among the fonts (the system's directories, and one of the
 *           operator's: "": none); reads, writes, makes and removes files in <dir>/out; no
 *           TCP, no signals or abstract sockets to the outside. Threads that run already would
 *           not be held, so this comes while there is but one.
 *   calls   seccomp for all threads: what is not listed fails with EPERM; what only an intruder
 *           would call (sockets, exec, ptrace, mount, ...) kills the process. No memory may become
 *           executable from here on.
 *
 * in and out are apart because the source is a hard link to somebody's file: a decoder that is
 * taken over must not be able to write to it. */
#ifndef WORKER_RENDER_CHILD_SANDBOX_H
#define WORKER_RENDER_CHILD_SANDBOX_H

#include "shared/err.h"

/* Under ASan and TSan, which need terabytes of address space, memory_bytes is not looked at. */
struct sandbox_limits {
    uint64_t memory_bytes; /* of address space; 0: no limit */
    uint64_t file_bytes;   /* one file's size */
};

MUST_USE enum err sandbox_limits(const struct sandbox_limits *limits, struct fault *reterr);
/* *ret_abi: Landlock's ABI in force; 0 where the kernel has none, which is no error. */
MUST_USE enum err sandbox_files(const char *dir, const char *fonts, uint32_t *ret_abi,
                                struct fault *reterr);
MUST_USE enum err sandbox_calls(struct fault *reterr);

#endif
