/*
 * ipc_shm.h - shared memory segments that are whole or absent, and know who is attached and alive.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * A segment is found by name (POSIX shared memory: what shm_open calls "/NAME"), or handed over as
 * a descriptor (memfd, sealed), or is a file that is found by its path and survives a restart. In
 * it is a small directory of named objects, so that one segment carries several rings, and a table
 * of members, whose deaths the kernel proves. Needs Linux 3.17 with /proc, Concurrency Kit
 * (libck-dev) and libc; C99 to C23, C++11 to C++23. The reference of all calls follows this manual.
 *
 *     #include "ipc_shm.h"
 *
 *     struct ipc_shm seg;                                       // one process
 *     struct ipc_shm_object o;
 *     int rc = ipc_shm_create(&seg, "feed", 1 << 20);
 *     rc = rc ? rc : ipc_shm_make(&seg, "table", 0, 4096, &o);  // 4096 zeroed bytes at o.mem
 *     rc = rc ? rc : ipc_shm_publish(&seg, &o);                 // now others can find them
 *     if (rc)
 *         errx(1, "%s", ipc_shm_why(&seg));
 *
 *     rc = ipc_shm_open(&seg, "feed", ipc_in_ms(1000));         // another: waits up to a second
 *     rc = rc ? rc : ipc_shm_find(&seg, "table", 0, &o);        // within the same second
 *
 * Contract
 *   - An opener sees a whole segment or none: it is allocated, mapped and filled in under no name,
 *     then linked to its name in one step. A creator that dies before leaves nothing behind.
 *   - All memory is allocated before it is mapped: a full /dev/shm is -ENOSPC here, not a SIGBUS
 *     later.
 *   - A name whose creator lives is -EEXIST to ipc_shm_create. If the creator is dead, or has
 *     closed the segment, the segment is taken over with its objects and their contents: a program
 *     that was killed and started again goes on. If the size asked for differs, or IPC_SHM_FRESH is
 *     given, the remains are discarded instead, unless another process has them open.
 *   - A named segment is private to its user unless told otherwise: mode 0600 whatever the umask;
 *     symbolic links are not followed; a segment of another owner, or one that permits more than
 *     asked, is refused; descriptors are closed on exec.
 *   - A sealed segment can be opened by each process that its descriptor is handed to, whichever
 *     user that process runs as; it may hand the descriptor on. No other process can open it, but
 *     for one that may trace a holder, and so read the holder's memory anyway.
 *   - A process that may only read opens it with IPC_SHM_READ_ONLY: its mapping has no write
 *     access, and it takes no place among the members. So a reader that nobody wants to trust can
 *     follow a lossy broadcast, and a monitor can look, also as another user. A segment that is
 *     created with IPC_SHM_SEAL_WRITES can never be written by a process that it is sent to.
 *   - A name with a slash is the path of a file. It is created, opened, refused and taken over as
 *     any other segment. After a restart of the machine nothing torn is taken for whole:
 *     ipc_shm_sync.
 *   - Nothing read from a segment is trusted: sizes and offsets are checked against what the kernel
 *     says at attach, and then kept in the handle.
 *   - Time is never taken for death. A member is dead when the kernel has released the lock that
 *     its address space held. That is the same in each PID and time namespace, and to an emulator;
 *     children of the dead process change nothing.
 *   - A segment has room for 64 members and 64 objects, or for as many as its creator's options
 *     say, up to 65,536 each. It never grows, and what an object took is not taken back. So a
 *     client that comes and goes, with rings of its own, has a segment of its own, which is cheap.
 *   - Every refusal has an errno of its own and a sentence: ipc_shm_why.
 *
 * Caveats
 *   - A process that may write a named segment may also truncate it, and then access is SIGBUS.
 *     Fix: share named segments within one user only, and give other users a sealed one (name NULL)
 *     by descriptor.
 *   - The owner of a named segment may also truncate it under those who only read it. Fix: the
 *     same.
 *   - On a disk that fails, access to a segment in a file is SIGBUS; on a file system that copies
 *     on write (btrfs) also on a full one. Fix there: a file with the attribute C (chattr +C).
 *   - The ends of rings that are opened in a segment point to its struct ipc_shm. So that must not
 *     be moved meanwhile, as happens where a C++ class that has it is returned by value or is in a
 *     vector that grows. Fix: allocate it; or ipc_ring.hpp, whose handles may be moved.
 *   - Names outlive processes. Fix: ipc_shm_unlink when the work is done; after a crash the next
 *     ipc_shm_create takes over.
 *   - systemd deletes a user's segments at the last logout (RemoveIPC=yes in logind.conf). Fix: a
 *     system user, or RemoveIPC=no.
 *   - In containers /dev/shm is often 64 MB, and private to the container. Fix: docker run
 *     --shm-size, --ipc; or a sealed segment, which is not part of it.
 *   - ipc_shm_unlink, like unlink, frees the name, not the memory: a process that has the segment
 *     open keeps it, one that comes later gets another. Fix: unlink once, by one side, when both
 *     are attached.
 *   - In strict ISO modes (-std=c99) libc hides what is needed. Fix: include ipc_shm.h before any
 *     header of libc, or define _GNU_SOURCE.
 *
 * How it works
 *   The file is one page of constants and counters, members, objects, then the objects' memory:
 *
 *       | header | members | objects | memory, handed out from the front, never taken back |
 *
 *   The rules for the words in it stand once each, with a table of what may change them, at the top
 *   of their part of this file:
 *
 *       >>open      building a segment, opening it, taking over a dead creator's
 *       >>file      segments in files, and which of them are whole after a restart
 *       >>identity  members, their ids, and the proofs of their deaths
 *       >>watch     how a process that sleeps learns of deaths
 *       >>objects   the directory of named objects
 */
#ifndef IPC_SHM_H
#define IPC_SHM_H 1

#include "common/version.h"
#include "common/prelude.h"
#include "common/linux.h"
#include "common/peer.h"
#include "common/words.h"
#include "common/deadline.h"
#include "shm/reference.h"
#include "shm/layout.h"
#include "shm/identity.h"
#include "shm/file.h"
#include "shm/watch.h"
#include "shm/map.h"
#include "shm/open.h"
#include "shm/pass.h"
#include "shm/members.h"
#include "shm/objects.h"

#endif /* IPC_SHM_H */
