/* What every header begins with. */
#ifndef IPC_SRC_COMMON_PRELUDE_H
#define IPC_SRC_COMMON_PRELUDE_H 1

#if !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#if defined(__has_include)
#if !__has_include(<ck_pr.h>)
#error "Concurrency Kit is missing: install libck-dev (Debian, Ubuntu), ck-devel (Fedora) or concurrencykit (Arch)"
#endif
#endif
#include <ck_cc.h>
#include <ck_md.h>
#include <ck_pr.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(CK_MD_TSO) && !defined(__x86_64__) && !defined(__i386__) && !defined(__s390x__) &&     \
    !defined(__sparc__)
#error "ck_md.h says CK_MD_TSO, but this target reorders stores: install its own Concurrency Kit"
#endif
/* On a 32-bit target CK_F_PR_LOAD_64 may stand for two 32-bit moves. Only ARMv7 (ldrexd) and x32
 * (64-bit registers) load 64 bits at once there. */
#if !defined(CK_F_PR_LOAD_64) || (__SIZEOF_POINTER__ < 8 && !defined(__x86_64__) &&                \
                                  !defined(__ARM_ARCH_7A__) && !defined(__ARM_ARCH_7__))
#error "these headers need 64-bit atomic loads and stores, which Concurrency Kit does not have here"
#endif

/* How each function is declared. A program that compiles the headers once, into a library, may
 * define the first otherwise. */
#ifndef IPC_INLINE
#define IPC_INLINE CK_CC_INLINE static
#endif
#define IPC_FORCE_INLINE CK_CC_FORCE_INLINE static

#endif
