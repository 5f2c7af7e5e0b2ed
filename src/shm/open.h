/*
 * Creating a segment, opening it, and taking it over.
 *
 * A segment is built under no name: allocated, mapped, filled in, with its creator as the first
 * member. magic is stored last. Then it is linked to its name, or its descriptor is handed over;
 * the kernel orders all stores before that. So an opener finds a whole segment, or none.
 *
 * From then on `creator` has the id of the creator, or of the member that took the segment over,
 * and perhaps the flag CONDEMNED: that member is about to unlink the segment, and no process may
 * come to use it any more.
 *
 *   from             to               by which process, how
 *   --------------   --------------   ----------------------------------------------------------
 *   0                id               its creator, before it has a name: a store
 *   dead             id               candidate id, to take it over: CAS
 *   dead             id               its child after fork, a member, when that goes on with an end:
 *                                     CAS (ipc_shm_inherit_)
 *   dead,            id + CONDEMNED   candidate id, where the size differs, or IPC_SHM_FRESH is
 *   or dead +                         given, or the flag is set already: CAS, full fence
 *   CONDEMNED
 *   id + CONDEMNED   dead             the same candidate, where it finds a live member, or may not
 *                                     unlink: a store. The segment stays; the candidate's create
 *                                     is refused
 *   id + CONDEMNED   (unlinked)       the same candidate, where it finds no live member
 *
 * `dead` is the id of a member that is dead, or has closed the segment (identity.h). Each process
 * that calls create joins as a candidate first. It comes to use the segment only by its own CAS of
 * creator, so candidates do not count as live members. When a candidate dies after its CAS, the
 * next one condemns the segment again.
 *
 * An opener joins, fences, and looks for CONDEMNED. A candidate condemns, fences, and looks for
 * members. So at least one of them sees the other.
 */
#ifndef IPC_SRC_SHM_OPEN_H
#define IPC_SRC_SHM_OPEN_H 1

#include "map.h"

/* ------------------------------------------------------------------ create and open */

#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 1
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW 4
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 16
#endif
#define IPC_SHM_SEALS_ (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)
#define IPC_SHM_DIR_ "/dev/shm/"
#define IPC_SHM_NAP_ INT64_C(1000000)       /* ns between two looks for what is not there yet */
#define IPC_SHM_LONG_NAP_ INT64_C(16000000) /* ns, after a tenth of a second */
#define IPC_SHM_PART_ ((size_t)2 << 20) /* bytes to allocate at once: a huge page */

/* Checks a segment's name, and makes the path of its file, in path[0..PATH_MAX). 0, -EINVAL or
 * -ENAMETOOLONG. */
IPC_INLINE int ipc_shm_path_(struct ipc_shm *seg, char *path, const char *name)
{
    int is_path = ipc_shm_is_path_(name);
    const char *last = is_path ? strrchr(name, '/') + 1 : name;

    if (*last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return ipc_shm_refuse(seg, -EINVAL, "segment name '%.64s': must not be empty, end with a "
                              "slash, or be . or ..",
                              name);
    if (last == name + 1)
        return ipc_shm_refuse(seg, -EINVAL, "segment name '%.64s': leave the slash out, which "
                              "shm_open wants; in the path of a file there is another",
                              name);
    if (strlen(last) > NAME_MAX || strlen(name) >= PATH_MAX)
        return ipc_shm_refuse(seg, -ENAMETOOLONG, "segment name of %zu bytes: at most %d",
                              strlen(name), strlen(last) > NAME_MAX ? NAME_MAX : PATH_MAX - 1);
    *path = '\0';
    if (!is_path)
        memcpy(path, IPC_SHM_DIR_, sizeof IPC_SHM_DIR_);
    memcpy(path + strlen(path), name, strlen(name) + 1);
    return 0;
}

/* Cuts a path behind its last slash: what is left is the directory. */
IPC_INLINE const char *ipc_shm_directory_(char *path)
{
    strrchr(path, '/')[1] = '\0';
    return path;
}

/* Allocates the file. 0, or what posix_fallocate says. In parts: a signal ends the call, and before
 * Linux 6.6 the kernel then takes back what that call had allocated, so signals that come again and
 * again would have one call for all begin anew for ever. */
IPC_INLINE int ipc_shm_fill_(int fd, size_t size)
{
    size_t at = 0, part;
    int rc = 0;

    while (rc == 0 && at < size) {
        part = size - at < IPC_SHM_PART_ ? size - at : IPC_SHM_PART_;
        rc = posix_fallocate(fd, (off_t)at, (off_t)part);
        if (rc == 0)
            at += part;
        else if (rc == EINTR)
            rc = 0;
    }
    return rc;
}

IPC_INLINE int ipc_shm_refuse_room_(struct ipc_shm *seg, int rc, const char *where, size_t size,
                                    uint64_t room)
{
    return ipc_shm_refuse(seg, rc, "no space for %zu bytes in %.99s (%llu free): %s%s", size, where,
                          (unsigned long long)room, strerror((int)(0u - (unsigned)rc)),
                          strcmp(where, IPC_SHM_DIR_) != 0 ? "" : ": make the segment smaller or "
                          "that larger (docker: --shm-size), or ipc_rm what killed programs left");
}

/* Refuses a size that cannot fit before any of it is allocated: where the file system may take as
 * much memory as the machine has, to try would have the kernel kill processes until it fits. */
IPC_INLINE int ipc_shm_check_room_(struct ipc_shm *seg, const char *where, size_t size)
{
    struct statvfs fs;
    struct sysinfo ram;
    uint64_t room;

    if (fstatvfs(seg->fd, &fs) != 0)
        return 0;
    room = (uint64_t)fs.f_bfree * fs.f_frsize;
    if (fs.f_blocks == 0) /* a memfd, or a file system without a limit */
        room = sysinfo(&ram) == 0 ? ((uint64_t)ram.totalram + ram.totalswap) * ram.mem_unit
                                  : UINT64_MAX;
    if (size <= room)
        return 0;
    return ipc_shm_refuse_room_(seg, -ENOSPC, where, size, room);
}

/* Seals the memory, which is mapped already. */
IPC_INLINE int ipc_shm_seal_(struct ipc_shm *seg)
{
    int against_writes = (seg->flags & IPC_SHM_SEAL_WRITES) != 0;
    /* inotify, by which ipc_shm_watch_ learns of others, does not report what is done by the
     * descriptor that memfd_create made. */
    int own = ipc_shm_reopen_(seg, seg->fd, O_RDWR);

    if (own < 0)
        return own;
    (void)close(seg->fd);
    seg->fd = own;
    if (fcntl(own, F_ADD_SEALS, IPC_SHM_SEALS_ | (against_writes ? F_SEAL_FUTURE_WRITE : 0)) != 0) {
        if (errno == EINVAL && against_writes)
            return ipc_shm_refuse(seg, -EOPNOTSUPP, "this kernel cannot seal memory against "
                                  "writing: Linux 5.1 can");
        return ipc_shm_refuse(seg, -errno, "cannot seal the memory: %s", strerror(errno));
    }
    return 0;
}

/* Makes a nameless file of `size` bytes, allocated and mapped. */
IPC_INLINE int ipc_shm_allocate_(struct ipc_shm *seg, const char *name, size_t size,
                                 const struct ipc_shm_options *how, int hugetlb)
{
    /* The mode of a memfd protects nothing: only a process that was handed a descriptor of it, or
     * that may trace a holder, can open it. A stricter mode would deny a receiver that runs as
     * another user an open file description of its own, and with it its lock. */
    mode_t mode = name != NULL ? how->mode : 0666;
    char path[PATH_MAX] = "memory";
    const char *where = path;
    struct rlimit limit;
    struct statvfs fs;
    int rc;

    seg->size = size;
    if (name != NULL && (rc = ipc_shm_path_(seg, path, name)) != 0)
        return rc;
    if (name != NULL)
        seg->fd = ipc_move_fd_(open(where = ipc_shm_directory_(path),
                                    O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    else /* MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB */
        seg->fd = ipc_move_fd_((int)syscall(SYS_memfd_create, "ipc_shm", hugetlb ? 7u : 3u));
    if (seg->fd < 0)
        return ipc_shm_refuse(seg, -errno, "cannot make a file in %.160s: %s", where,
                              strerror(errno));
    if (how->group != (gid_t)-1 && fchown(seg->fd, (uid_t)-1, how->group) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot give the segment to group %ld: %s",
                              (long)how->group, strerror(errno));
    if (fchmod(seg->fd, mode) != 0) /* not by open, whose mode the umask cuts */
        return ipc_shm_refuse(seg, -errno, "cannot set mode %03o: %s", (unsigned)mode,
                              strerror(errno));
    /* Beyond this limit the kernel would send SIGXFSZ. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur)
        return ipc_shm_refuse(seg, -EFBIG, "segment of %zu bytes: RLIMIT_FSIZE is %llu", size,
                              (unsigned long long)limit.rlim_cur);
    if (ftruncate(seg->fd, (off_t)size) != 0) /* it fails, too, where off_t has no room for size */
        return ipc_shm_refuse(seg, -EFBIG, "segment of %zu bytes: too large", size);
    rc = ipc_shm_check_room_(seg, where, size);
    rc = rc != 0 ? rc : ipc_shm_map_(seg, NULL);
    if (rc != 0)
        return rc;
    if (seg->huge_rc ==
        0) /* by faults: fallocate does not know that the mapping wants huge pages */
        (void)madvise(seg->base, seg->size, MADV_POPULATE_WRITE);
    rc = ipc_shm_fill_(seg->fd, size);
    if (rc != 0)
        return ipc_shm_refuse_room_(
            seg, -rc, where, size,
            fstatvfs(seg->fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0);
    if (name != NULL)
        return 0;
    return ipc_shm_seal_(seg);
}

/* How many members and objects a segment is to be created for. */
IPC_INLINE void ipc_shm_numbers_(const struct ipc_shm_options *how, unsigned *members,
                                 unsigned *objects)
{
    unsigned n = how->members != 0 ? how->members : IPC_SHM_MEMBERS;

    for (*members = 1; *members < n; *members *= 2)
        ;
    *objects = how->objects != 0 ? how->objects : IPC_SHM_OBJECTS;
}

/* Builds a whole new segment, under no name yet, with this process as member and creator. */
IPC_INLINE int ipc_shm_build_(struct ipc_shm *seg, const char *name, size_t size,
                              const struct ipc_shm_options *how)
{
    struct ipc_shm_header_ *h;
    size_t huge = (size_t)2 << 20, all;
    unsigned members, objects;
    int rc = -1;

    ipc_shm_clear_(seg, how);
    ipc_shm_numbers_(how, &members, &objects);
    all = ipc_shm_head_(members, objects) + ((size + 4095) & ~(size_t)4095);
    if (name == NULL && (how->flags & IPC_SHM_HUGE) != 0 && all <= SIZE_MAX / 2) {
        /* From the pool of huge pages, where there is one that has enough. */
        seg->huge_rc = 0;
        rc = ipc_shm_allocate_(seg, name, (all + huge - 1) & ~(huge - 1), how, 1);
        if (rc != 0) {
            ipc_shm_close(seg);
            ipc_shm_clear_(seg, how);
        }
    }
    if (rc != 0)
        rc = ipc_shm_allocate_(seg, name, all, how, 0);
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    ipc_shm_prefault_(seg, 1);
    h = seg->base;
    h->abi = IPC_SHM_LAYOUT;
    h->order = IPC_SHM_ORDER;
    h->line = IPC_SHM_LINE;
    h->members = seg->members = members;
    h->objects = seg->objects = objects;
    h->size = seg->size;
    h->used = ipc_shm_head_(members, objects);
    rc = ipc_shm_join_(seg, 0);
    /* Who opens the file for writing can take the locks of members. This one has opened it. */
    if (rc == 0 && (seg->flags & IPC_SHM_SEAL_WRITES) != 0 && fchmod(seg->fd, 0444) != 0)
        rc = ipc_shm_refuse(seg, -errno, "cannot set mode 444: %s", strerror(errno));
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    h->creator = seg->peer.id;
    /* No fence: see the top. */
    h->magic = IPC_SHM_MAGIC;
    rc = name != NULL && ipc_shm_is_path_(name) ? ipc_shm_found_file_(seg) : 0;
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    seg->created = 1;
    return 0;
}

IPC_INLINE int ipc_shm_check_size_(struct ipc_shm *seg, const struct stat *st)
{
    if (st->st_size < (off_t)sizeof(struct ipc_shm_header_) || (uint64_t)st->st_size > SIZE_MAX)
        return ipc_shm_refuse(seg, -EPROTO, "not a segment of ipc_shm.h: a file of %lld bytes",
                              (long long)st->st_size);
    return 0;
}

/* Maps and checks the segment behind seg->fd, whose owner and mode are checked, and joins it,
 * unless it is to be read only. */
IPC_INLINE int ipc_shm_attach_(struct ipc_shm *seg, const struct stat *st, int candidate)
{
    const struct ipc_shm_header_ *h;
    uint64_t magic, there;
    uint32_t line;
    int rc;

    rc = ipc_shm_check_size_(seg, st);
    if (rc != 0)
        return rc;
    seg->size = (size_t)st->st_size;
    seg->flags &= ~IPC_SHM_SEAL_WRITES; /* of a creator alone */
    rc = ipc_shm_map_(seg, NULL);
    if (rc != 0)
        return rc;
    h = seg->base;
    magic = ck_pr_load_64(&h->magic);
    if ((there = ck_pr_load_32(&h->order)) == IPC_SHM_SWAPPED)
        return ipc_shm_refuse(seg, -EPROTO, "segment of another byte order");
    if (magic != IPC_SHM_MAGIC || there != IPC_SHM_ORDER)
        return ipc_shm_refuse(seg, -EPROTO, "not a segment of ipc_shm.h: magic is %016llx",
                              (unsigned long long)magic);
    if ((there = ck_pr_load_32(&h->abi)) != IPC_SHM_LAYOUT)
        return ipc_shm_refuse(seg, -EPROTO, "segment of another version: ABI %llu there, %u here",
                              (unsigned long long)there, IPC_SHM_LAYOUT);
    line = ck_pr_load_32(&h->line);
    seg->members = ck_pr_load_32(&h->members);
    seg->objects = ck_pr_load_32(&h->objects);
    if (line != IPC_SHM_LINE || !ipc_shm_are_numbers_valid_(seg->members, seg->objects) ||
        ipc_shm_head_(seg->members, seg->objects) > seg->size)
        return ipc_shm_refuse(seg, -EPROTO,
                              "segment of another layout: %u-byte lines, %u members, "
                              "%u objects there",
                              line, seg->members, seg->objects);
    if ((there = ck_pr_load_64(&h->size)) != seg->size)
        return ipc_shm_refuse(seg, -EPROTO, "segment of %llu bytes was resized to %zu",
                              (unsigned long long)there, seg->size);
    if (candidate) /* ipc_shm_take_over_ begins to use it, if it is not discarded */
        return ipc_shm_join_(seg, 1);
    rc = ipc_shm_check_torn_(seg);
    if (rc != 0)
        return rc;
    if (ipc_shm_is_read_only_(seg)) {
        ipc_shm_become_reader_(seg);
        return 0;
    }
    rc = ipc_shm_join_(seg, 0);
    return rc == 0 ? ipc_shm_begin_use_(seg) : rc;
}

/* Checks the file's owner and mode against the options. 0, -EPROTO or -EACCES. */
IPC_INLINE int ipc_shm_check_owner_(struct ipc_shm *seg, const struct stat *st,
                                    const struct ipc_shm_options *how)
{
    uid_t owner = how->owner != (uid_t)-1 ? how->owner : geteuid();

    if (!S_ISREG(st->st_mode))
        return ipc_shm_refuse(seg, -EPROTO, "not a segment of ipc_shm.h: not a regular file");
    if (st->st_uid != owner) /* first, as the sentence says who can remove it */
        return ipc_shm_refuse(seg, -EACCES, "segment belongs to user %ld, not %ld: set "
                              "options.owner, if you trust that user; or take another name; "
                              "that user, or root, can ipc_shm_unlink it",
                              (long)st->st_uid, (long)owner);
    if (ipc_shm_check_size_(seg, st) != 0)
        return -EPROTO;
    if ((st->st_mode & 0777 & ~how->mode) != 0)
        return ipc_shm_refuse(seg, -EACCES, "segment has mode %03o, at most %03o was asked for: "
                              "set options.mode, if others may use it",
                              (unsigned)st->st_mode & 0777, (unsigned)how->mode);
    return 0;
}

/* Refuses a file that this process may not open. */
IPC_INLINE int ipc_shm_refuse_access_(struct ipc_shm *seg, const char *path, const char *name,
                                      int replace)
{
    int reads = faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
    struct stat st;

    if (lstat(path, &st) != 0)
        return ipc_shm_refuse(seg, -EACCES, "cannot open segment '%s'", name);
    return ipc_shm_refuse(seg, -EACCES, "segment '%s' belongs to user %ld and has mode %03o: %s",
                          name, (long)st.st_uid, (unsigned)st.st_mode & 0777,
                          reads     ? "open it with IPC_SHM_READ_ONLY"
                          : replace ? "that user, or root, can ipc_shm_unlink it; or take another "
                                      "name"
                                    : "its creator lets others in by options.mode, and these open "
                                      "it with that mode and options.owner");
}

/* Opens the segment of that name, if there is one: as a candidate where `replace` is set, as a
 * member otherwise. For a member a CONDEMNED segment counts as none. */
IPC_INLINE int ipc_shm_open_once_(struct ipc_shm *seg, const char *path, const char *name,
                                  const struct ipc_shm_options *how, int replace)
{
    int access = (how->flags & IPC_SHM_READ_ONLY) != 0 ? O_RDONLY : O_RDWR, rc;
    struct stat st;

    ipc_shm_clear_(seg, how);
    /* O_NONBLOCK, as the open of a FIFO would wait for its other end, and that of a file on which
     * its owner holds a lease for the owner. */
    seg->fd = ipc_move_fd_(open(path, access | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (seg->fd < 0 && errno == ENOENT)
        return ipc_shm_refuse(seg, -ENOENT, "no segment '%s'", name);
    if (seg->fd < 0 && errno == ELOOP)
        return ipc_shm_refuse(seg, -ELOOP, "segment '%s' is a symbolic link", name);
    if (seg->fd < 0 && errno == EAGAIN)
        return ipc_shm_refuse(seg, -EACCES, "the owner of '%s' holds a file lease on it", name);
    if (seg->fd < 0 && errno == EACCES)
        return ipc_shm_refuse_access_(seg, path, name, replace);
    if (seg->fd < 0 || fstat(seg->fd, &st) != 0)
        return ipc_shm_refuse(seg, -errno, "cannot open segment '%s': %s", name, strerror(errno));
    rc = ipc_shm_check_owner_(seg, &st, how);
    rc = rc != 0 ? rc : ipc_shm_attach_(seg, &st, replace);
    if (rc != 0)
        return ipc_shm_close_refused_(seg, rc);
    /* Without it we could miss CONDEMNED, and the candidate that stores it miss our membership.
     * Partner: the fence in ipc_shm_take_over_. */
    ck_pr_fence_memory();
    if (!replace && (ck_pr_load_64(&seg->base->creator) & IPC_SHM_CONDEMNED_) != 0)
        return ipc_shm_close_refused_(
            seg, ipc_shm_refuse(seg, -ENOENT, "segment '%s' is being replaced", name));
    ipc_shm_prefault_(seg, 0);
    return 0;
}

/* Is a member alive that is no candidate, and not this process? */
IPC_INLINE int ipc_shm_others_live_(const struct ipc_shm *seg)
{
    unsigned i;

    for (i = 0; i < seg->members; i++) {
        const struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, i);
        uint64_t id = ck_pr_load_64(&m->id);

        /* Without it `candidate` could be older than the id. Partner: the second store fence in
         * ipc_shm_join_. */
        ck_pr_fence_load();
        if (id != 0 && id != seg->peer.id && ck_pr_load_32(&m->candidate) == 0 &&
            ipc_shm_member_is_alive_(seg, id))
            return 1;
    }
    return 0;
}

IPC_INLINE int ipc_shm_refuse_living_(struct ipc_shm *seg, const char *name, uint64_t creator)
{
    const struct ipc_shm_member_ *m = ipc_shm_member_of_(seg, creator);

    return ipc_shm_refuse(seg, -EEXIST, "segment '%s' exists and its creator lives (pid %u%s): "
                          "ipc_shm_open it, or end that process", name, ck_pr_load_32(&m->pid),
                          ck_pr_load_64(&m->pid_ns) == seg->pid_ns ? "" : " of another namespace");
}

/* Takes over the segment that this process has opened as a candidate, or removes it. 0 when it is
 * taken over, -EAGAIN when it is removed, or another candidate was quicker: look again. -EEXIST
 * when it is in use. */
IPC_INLINE int ipc_shm_take_over_(struct ipc_shm *seg, const char *path, const char *name,
                                  size_t size, const struct ipc_shm_options *how)
{
    struct ipc_shm_header_ *h = seg->base;
    uint64_t creator = ck_pr_load_64(&h->creator);
    size_t head = ipc_shm_head_(seg->members, seg->objects);
    unsigned members, objects;
    struct stat ours, named;
    int rc, fits, fresh;

    ipc_shm_numbers_(how, &members, &objects);
    /* Is it what a new one would be? */
    fits = seg->size >= head + size && seg->size - head - size < 4096 &&
           seg->members == members && seg->objects == objects;
    fresh = !fits || (how->flags & IPC_SHM_FRESH) != 0 || (creator & IPC_SHM_CONDEMNED_) != 0;

    if (ipc_shm_member_is_alive_(seg, creator & IPC_SHM_ID_))
        return ipc_shm_refuse_living_(seg, name, creator & IPC_SHM_ID_);
    rc = fresh ? 0 : ipc_shm_begin_use_(seg);
    if (rc != 0)
        return rc;
    if (!ck_pr_cas_64(&h->creator, creator,
                      fresh ? seg->peer.id | IPC_SHM_CONDEMNED_ : seg->peer.id))
        return -EAGAIN;
    if (!fresh) {
        ck_pr_store_32(&ipc_shm_member_of_(seg, seg->peer.id)->candidate, 0);
        seg->created = 2;
        return 0;
    }
    /* Without it a process could join unseen. Partner: the fence in ipc_shm_open_once_. */
    ck_pr_fence_memory();
    if (ipc_shm_others_live_(seg)) {
        ck_pr_store_64(&h->creator, creator & ~IPC_SHM_CONDEMNED_);
        return ipc_shm_refuse(seg, -EEXIST, "segment '%s' is left over%s, but in use by others",
                              name, fits ? "" : " with another size");
    }
    if (fstat(seg->fd, &ours) == 0 && lstat(path, &named) == 0 && ours.st_dev == named.st_dev &&
        ours.st_ino == named.st_ino && unlink(path) != 0 && errno != ENOENT) {
        rc = -errno;
        ck_pr_store_64(&h->creator, creator & ~IPC_SHM_CONDEMNED_);
        return ipc_shm_refuse(seg, rc, "cannot replace segment '%s'%s, which belongs to user %ld: "
                              "%s", name, fits ? "" : ", of another size", (long)ours.st_uid,
                              strerror(-rc));
    }
    return -EAGAIN;
}

/* Gives a built segment its name, in one step. -EEXIST when something has that name. */
IPC_INLINE int ipc_shm_link_(struct ipc_shm *seg, const char *path)
{
    char file[32];

    (void)snprintf(file, sizeof file, "/proc/self/fd/%d", seg->fd);
    if (linkat(AT_FDCWD, file, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    return ipc_shm_refuse(seg, -errno, "cannot name the segment %s: %s%s", path, strerror(errno),
                          errno == ENOENT ? "; is /proc mounted?" : "");
}

IPC_INLINE int ipc_shm_create_with(struct ipc_shm *seg, const char *name, size_t size,
                                   const struct ipc_shm_options *how)
{
    char path[PATH_MAX];
    int rc, again, tries;

    how = ipc_shm_or_defaults_(how);
    ipc_shm_clear_(seg, how);
    if (size == 0 || size > SIZE_MAX / 2)
        return ipc_shm_refuse(seg, size == 0 ? -EINVAL : -EFBIG, "segment of %zu bytes: give it 1 to "
                              "%zu, as NAME_footprint of its rings, added up", size, SIZE_MAX / 2);
    if (how->members > IPC_SHM_MEMBERS_MAX || how->objects > IPC_SHM_OBJECTS_MAX)
        return ipc_shm_refuse(seg, -EINVAL, "segment for %u members, %u objects: at most %u, %u",
                              how->members, how->objects, IPC_SHM_MEMBERS_MAX, IPC_SHM_OBJECTS_MAX);
    if (ipc_shm_is_read_only_(seg) || (name != NULL && (how->flags & IPC_SHM_SEAL_WRITES) != 0))
        return ipc_shm_refuse(seg, -EINVAL, ipc_shm_is_read_only_(seg)
                              ? "cannot create a segment read-only: open it"
                              : "a segment with a name cannot be sealed against writing");
    if (name == NULL)
        return ipc_shm_build_(seg, name, size, how);
    rc = ipc_shm_path_(seg, path, name);
    if (rc != 0)
        return rc;
    for (tries = 0; tries < 100; tries++) {
        rc = ipc_shm_open_once_(seg, path, name, how, 1);
        if (rc == 0) {
            rc = ipc_shm_take_over_(seg, path, name, size, how);
            again = -EAGAIN;
        } else if (rc == -ENOENT) {
            rc = ipc_shm_build_(seg, name, size, how);
            if (rc != 0)
                return rc;
            rc = ipc_shm_link_(seg, path);
            again = -EEXIST;
        } else {
            return rc;
        }
        if (rc == 0)
            return 0;
        (void)ipc_shm_close_refused_(seg, rc);
        if (rc != again)
            return rc;
    }
    return ipc_shm_refuse(seg, -EEXIST, "segment '%s' changes hands all the time", name);
}

IPC_INLINE int ipc_shm_create(struct ipc_shm *seg, const char *name, size_t size)
{
    return ipc_shm_create_with(seg, name, size, NULL);
}

IPC_INLINE int ipc_shm_refuse_deadline_(struct ipc_shm *seg, int64_t deadline)
{
    return ipc_shm_refuse(seg, -EINVAL,
                          "%lld ns is no deadline, which is an absolute time: use ipc_in_ms",
                          (long long)deadline);
}

/* Waits between two looks: *nap nanoseconds, or until the deadline if that is sooner. *nap begins
 * as IPC_SHM_NAP_, and grows by an eighth each time, so that a long wait costs little. 0 to look
 * again, -ETIMEDOUT when the deadline has passed, -EINTR when a signal handler ran. */
IPC_INLINE int ipc_shm_wait_(int64_t deadline, int64_t *nap)
{
    int64_t left = ipc_left_(deadline), ns = *nap;

    if (left == 0)
        return -ETIMEDOUT;
    *nap = ns + ns / 8 < IPC_SHM_LONG_NAP_ ? ns + ns / 8 : IPC_SHM_LONG_NAP_;
    return ipc_shm_nap_(left < ns ? left : ns);
}

IPC_INLINE int ipc_shm_open_with(struct ipc_shm *seg, const char *name, int64_t deadline,
                                 const struct ipc_shm_options *how)
{
    char path[PATH_MAX];
    int64_t nap = IPC_SHM_NAP_;
    int rc, waited = 0;

    how = ipc_shm_or_defaults_(how);
    ipc_shm_clear_(seg, how);
    if (name == NULL)
        return ipc_shm_refuse(seg, -EINVAL, "the segment's name is NULL: one without a name is "
                              "received, not opened");
    if (!ipc_is_deadline_(deadline))
        return ipc_shm_refuse_deadline_(seg, deadline);
    rc = ipc_shm_path_(seg, path, name);
    if (rc != 0)
        return rc;
    do
        rc = ipc_shm_open_once_(seg, path, name, how, 0);
    while (rc == -ENOENT && (waited = ipc_shm_wait_(deadline, &nap)) == 0);
    if (rc == -ENOENT && waited == -EINTR)
        return ipc_shm_refuse(seg, -EINTR, "no segment '%s' until a signal came", name);
    if (rc == -ENOENT && deadline != IPC_NOW)
        return ipc_shm_refuse(seg, -ETIMEDOUT,
                              "no segment '%s' until the deadline: is the program "
                              "that creates it running?",
                              name);
    seg->deadline = deadline;
    return rc;
}

IPC_INLINE int ipc_shm_open(struct ipc_shm *seg, const char *name, int64_t deadline)
{
    return ipc_shm_open_with(seg, name, deadline, NULL);
}

IPC_INLINE int ipc_shm_open_or_create(struct ipc_shm *seg, const char *name, size_t size,
                                      const struct ipc_shm_options *how)
{
    int rc, tries = 100;

    how = ipc_shm_or_defaults_(how);
    if ((how->flags & IPC_SHM_READ_ONLY) != 0)
        return ipc_shm_create_with(seg, name, size, how); /* which refuses it */
    do {
        rc = ipc_shm_open_with(seg, name, IPC_NOW, how);
        if (rc == -ENOENT)
            rc = ipc_shm_create_with(seg, name, size, how);
        if (rc == -EEXIST) /* since created by another process, or is replaced by a stopped one */
            (void)ipc_shm_nap_(IPC_SHM_NAP_);
    } while (rc == -EEXIST && --tries > 0);
    if (rc == -EEXIST)
        rc = ipc_shm_refuse(seg, -EBUSY, "segment '%s' is being replaced", name);
    return rc;
}

/* Is the file a segment? Others are none of ours to remove. 0, -EPROTO, or what open says. */
IPC_INLINE int ipc_shm_check_made_(const char *path)
{
    int fd = ipc_move_fd_(open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)), rc;
    uint64_t magic = 0;
    struct stat st;

    if (fd < 0)
        return -errno;
    rc = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                 pread(fd, &magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
                 magic == IPC_SHM_MAGIC
             ? 0
             : -EPROTO;
    (void)close(fd);
    return rc;
}

IPC_INLINE int ipc_shm_unlink(const char *name)
{
    struct ipc_shm unused;
    char path[PATH_MAX];
    int rc = name == NULL ? -EINVAL : ipc_shm_path_(&unused, path, name);

    if (rc == 0 && ipc_shm_is_path_(name))
        rc = ipc_shm_check_made_(path);
    if (rc == 0 && unlink(path) != 0)
        rc = -errno;
    return rc;
}

IPC_INLINE int ipc_shm_unlink_dead(struct ipc_shm *seg, const char *name,
                                   const struct ipc_shm_options *how)
{
    struct ipc_shm_options fresh = *ipc_shm_or_defaults_(how);
    char path[PATH_MAX];
    int rc, tries, removed = 0;

    fresh.flags = IPC_SHM_FRESH | IPC_SHM_NO_PREFAULT;
    ipc_shm_clear_(seg, &fresh);
    rc = name == NULL ? -EINVAL : ipc_shm_path_(seg, path, name);
    if (rc != 0)
        return rc;
    for (tries = 0; tries < 100; tries++) {
        rc = ipc_shm_open_once_(seg, path, name, &fresh, 1);
        if (rc != 0)
            return rc == -ENOENT && removed ? 0 : rc;
        rc = ipc_shm_take_over_(seg, path, name, 1, &fresh);
        ipc_shm_close(seg);
        if (rc == -EEXIST)
            return ipc_shm_refuse(seg, -EBUSY, "segment '%s' is in use by a live process", name);
        if (rc != -EAGAIN)
            return rc;
        removed = 1;
    }
    return ipc_shm_refuse(seg, -EBUSY, "segment '%s' changes hands all the time", name);
}

#endif
