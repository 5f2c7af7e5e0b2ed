/*
 * Named objects in a segment.
 *
 * Each has an entry of the directory. The entry's state says all about it: a kind, a hash of the
 * name (14 bits) and the maker's id (48 bits).
 *
 *   from                to                by which process, how
 *   -----------------   ---------------   ------------------------------------------------------
 *   FREE                MAKING(hash,id)   member id, to make an object: CAS
 *   MAKING(hash,id)     READY(hash)       member id, once the entry and the object are filled in:
 *                                         release fence, CAS
 *   MAKING(hash,id)     MAKING(hash,0)    member id, where the object does not fit: CAS
 *   MAKING(hash,dead)   MAKING(hash,id)   member id, to make an object of the same name, when the
 *   or MAKING(hash,0)                     kernel says that the maker is dead: CAS
 *
 * READY is the end. Offset, size, type and name of an entry are written by the member whose id its
 * state has. Entries are searched in a row, from the one that the name's hash gives (other bits of
 * it) up to one that is FREE, and never become FREE again: so two makers of one name meet at the
 * same entry, and it is found after a few looks unless nearly all entries are used. Ids are never
 * used twice, so a maker that has lost its entry to another cannot publish it: its CAS fails.
 */
#ifndef IPC_SRC_SHM_OBJECTS_H
#define IPC_SRC_SHM_OBJECTS_H 1

#include "open.h"

/* ------------------------------------------------------------------ objects */

/* Checks an object's name, and hashes it; *first is the entry to begin at. 0, -EINVAL or
 * -ENAMETOOLONG. */
IPC_INLINE int ipc_shm_object_name_(struct ipc_shm *seg, const char *name, uint64_t *hash,
                                    uint32_t *first)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a: G. Fowler, L. C. Noll, K.-P. Vo, 1991 */
    size_t i;

    for (i = 0; name != NULL && name[i] != '\0'; i++)
        h = (h ^ (unsigned char)name[i]) * 1099511628211u;
    h ^= h >> 32; /* the last byte reaches only the lower half */
    h *= 0x9e3779b97f4a7c15u;
    *hash = h & IPC_SHM_HASH_;
    *first = (uint32_t)(h ^ h >> 32) % (seg->base != NULL ? seg->objects : 1);
    if (name == NULL)
        return ipc_shm_refuse(seg, -EINVAL, "the object's name is NULL");
    if (i == 0 || i > IPC_SHM_NAME_MAX)
        return ipc_shm_refuse(seg, i == 0 ? -EINVAL : -ENAMETOOLONG,
                              "object name of %zu bytes: 1 to %u", i, IPC_SHM_NAME_MAX);
    return 0;
}

/* Reads entry i into *o. 0, -ENOENT unless it is READY, -EBADMSG when it points out of the segment.
 */
IPC_INLINE int ipc_shm_read_entry_(struct ipc_shm *seg, uint32_t i, struct ipc_shm_object *o)
{
    const struct ipc_shm_entry_ *e = ipc_shm_entry_at_(seg, i);
    uint64_t offset, size;

    if ((ck_pr_load_64(&e->state) & IPC_SHM_READY_) == 0)
        return -ENOENT;
    /* Without it the entry could be older than its state. Partner: the fence in ipc_shm_publish. */
    ck_pr_fence_load();
    offset = ck_pr_load_64(&e->offset);
    size = ck_pr_load_64(&e->size);
    if (offset < ipc_shm_head_(seg->members, seg->objects) || offset % IPC_SHM_LINE != 0 ||
        offset > seg->size || size > seg->size - offset)
        return ipc_shm_refuse(seg, -EBADMSG, "the segment's directory is corrupt");
    o->mem = (unsigned char *)seg->base + offset;
    o->size = (size_t)size;
    o->type = ck_pr_load_32(&e->type);
    o->index = i;
    memcpy(o->name, e->name, sizeof o->name);
    o->name[IPC_SHM_NAME_MAX] = '\0';
    return 0;
}

IPC_INLINE int ipc_shm_list(struct ipc_shm *seg, unsigned i, struct ipc_shm_object *o)
{
    return seg->base != NULL && i < seg->objects ? ipc_shm_read_entry_(seg, i, o) : -ENOENT;
}

IPC_INLINE size_t ipc_shm_was_used(const struct ipc_shm *seg)
{
    uint64_t used = seg->base != NULL ? ck_pr_load_64(&seg->base->used) : 0;

    return used < seg->size ? (size_t)used : seg->size;
}

/* Takes `size` bytes from the front of what is left. Lock-free: each CAS that fails is another
 * member's that succeeded. After a thousand of these the peer is hostile. */
IPC_INLINE int ipc_shm_take_memory_(struct ipc_shm *seg, const char *name, size_t size,
                                    uint64_t *offset)
{
    uint64_t used;
    int tries;

    for (tries = 0; tries < 1000; tries++) {
        used = ck_pr_load_64(&seg->base->used);
        if (used < ipc_shm_head_(seg->members, seg->objects) || used > seg->size)
            break;
        *offset = (used + IPC_SHM_LINE - 1) & ~(uint64_t)(IPC_SHM_LINE - 1);
        if (*offset > seg->size || size > seg->size - *offset)
            return ipc_shm_refuse(seg, -ENOSPC, "no room for object '%s' of %zu bytes in a segment "
                                  "with %llu free: create the segment larger (NAME_footprint says "
                                  "what a ring takes)", name, size,
                                  (unsigned long long)(seg->size - used));
        if (ck_pr_cas_64(&seg->base->used, used, *offset + size))
            return 0;
    }
    return ipc_shm_refuse(seg, -EBADMSG, "the segment's directory is corrupt");
}

IPC_INLINE void *ipc_shm_map_twice(struct ipc_shm *seg, const void *mem, size_t bytes)
{
    off_t offset = (off_t)((const unsigned char *)mem - (const unsigned char *)seg->base);
    int flags = MAP_SHARED | MAP_FIXED;
    int access = PROT_READ | (ipc_shm_is_read_only_(seg) ? 0 : PROT_WRITE);
    unsigned char *at;

#ifdef MAP_POPULATE
    flags |= (seg->flags & IPC_SHM_NO_PREFAULT) == 0 ? MAP_POPULATE : 0;
#endif
    if (bytes == 0 || bytes > SIZE_MAX / 4 || (bytes | (size_t)offset) % (size_t)getpagesize() != 0)
        return NULL;
    if (!ipc_shm_has_its_file_(seg))
        return NULL;
    at = (unsigned char *)mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if ((void *)at == MAP_FAILED)
        return NULL;
    if (mmap(at, bytes, access, flags, seg->fd, offset) != MAP_FAILED &&
        mmap(at + bytes, bytes, access, flags, seg->fd, offset) != MAP_FAILED)
        return at;
    (void)munmap(at, 2 * bytes);
    return NULL;
}

IPC_INLINE void ipc_shm_unmap_twice(void *at, size_t bytes)
{
    (void)munmap(at, 2 * bytes);
}

IPC_INLINE int ipc_shm_make(struct ipc_shm *seg, const char *name, uint32_t type, size_t size,
                            struct ipc_shm_object *o)
{
    struct ipc_shm_entry_ *e;
    uint64_t hash, state, offset = 0;
    uint32_t first, i = 0, passed = 0, tries = 0;
    int rc = ipc_shm_object_name_(seg, name, &hash, &first);

    rc = rc != 0 ? rc : ipc_shm_become_member_(seg);
    rc = rc != 0 ? rc : ipc_shm_check_writable_(seg);
    if (rc != 0)
        return rc;
    if (size == 0)
        return ipc_shm_refuse(seg, -EINVAL, "object '%s' of 0 bytes or an impossible geometry",
                              name);
    while (passed < seg->objects && tries < 1000) {
        i = (first + passed) % seg->objects;
        e = ipc_shm_entry_at_(seg, i);
        state = ck_pr_load_64(&e->state);
        if (state != IPC_SHM_FREE_ && (state & IPC_SHM_HASH_) != hash) {
            passed++;
        } else if ((state & IPC_SHM_READY_) != 0) {
            rc = ipc_shm_read_entry_(seg, i, o);
            if (rc != 0)
                return rc;
            if (strcmp(o->name, name) == 0)
                return ipc_shm_refuse(seg, -EEXIST, "object '%s' exists", name);
            passed++;
        } else if (state != IPC_SHM_FREE_ && ipc_shm_member_is_alive_(seg, state & IPC_SHM_ID_)) {
            return ipc_shm_refuse(seg, -EBUSY, "object '%s' is being made by another", name);
        } else if (ck_pr_cas_64(&e->state, state, IPC_SHM_MAKING_ | hash | seg->peer.id)) {
            break;
        } else {
            tries++; /* another member was quicker: look at the entry again */
        }
    }
    if (passed == seg->objects || tries == 1000)
        return ipc_shm_refuse(seg, -ENOSPC, "no room for object '%s': %u are there", name,
                              seg->objects);
    e = ipc_shm_entry_at_(seg, i);
    rc = ipc_shm_take_memory_(seg, name, size, &offset);
    if (rc != 0) {
        /* The next maker of this name goes on with this entry. */
        (void)ck_pr_cas_64(&e->state, IPC_SHM_MAKING_ | hash | seg->peer.id,
                           IPC_SHM_MAKING_ | hash);
        return rc;
    }
    ck_pr_store_64(&e->offset, offset);
    ck_pr_store_64(&e->size, size);
    ck_pr_store_32(&e->type, type);
    memset(e->name, 0, sizeof e->name);
    memcpy(e->name, name, strlen(name));
    o->mem = (unsigned char *)seg->base + offset;
    o->size = size;
    o->type = type;
    o->index = i;
    memcpy(o->name, e->name, sizeof o->name);
    memset(o->mem, 0, size);
    return 0;
}

/* As ipc_shm_make, for a process that may start together with others which make the same object.
 * The maker needs a moment, unless it is stopped: it is waited for, a second at most. */
IPC_INLINE int ipc_shm_make_with_others_(struct ipc_shm *seg, const char *name, uint32_t type,
                                         size_t size, struct ipc_shm_object *o)
{
    int64_t nap = IPC_SHM_NAP_, until = 0;
    int rc;

    for (;;) {
        rc = ipc_shm_make(seg, name, type, size, o);
        if (rc != -EBUSY)
            return rc;
        until = until != 0 ? until : ipc_in_ms(1000);
        if (ipc_shm_wait_(until, &nap) == -ETIMEDOUT)
            return rc;
    }
}

IPC_INLINE int ipc_shm_publish(struct ipc_shm *seg, const struct ipc_shm_object *o)
{
    struct ipc_shm_entry_ *e;
    uint64_t state;

    if (seg->base == NULL)
        return ipc_shm_refuse_closed_(seg);
    if (ipc_shm_check_writable_(seg) != 0)
        return -EROFS;
    e = ipc_shm_entry_at_(seg, o->index % seg->objects);
    state = ck_pr_load_64(&e->state);
    /* Without it the object could be found before it is filled in. Partner: the fence in
     * ipc_shm_read_entry_. */
    ck_pr_fence_release();
    if ((state & ~IPC_SHM_HASH_) != (IPC_SHM_MAKING_ | seg->peer.id) ||
        !ck_pr_cas_64(&e->state, state, IPC_SHM_READY_ | (state & IPC_SHM_HASH_)))
        return ipc_shm_refuse(seg, -EINVAL, "object '%s' is not being made by this handle",
                              o->name);
    return 0;
}

/* A type as the four letters that it is made of, or as a number. */
IPC_INLINE const char *ipc_shm_type_name_(char *text, size_t size, uint32_t type)
{
    unsigned i;

    for (i = 0; i < 4; i++) {
        text[i] = (char)(type >> 8 * i & 0x7f);
        if (text[i] < 'a' || text[i] > 'z')
            break;
    }
    text[i] = '\0';
    if (i < 4)
        (void)snprintf(text, size, "%08x", type);
    return text;
}

IPC_INLINE int ipc_shm_refuse_type_(struct ipc_shm *seg, const char *name, uint32_t there,
                                    uint32_t here)
{
    char text[2][16];

    return ipc_shm_refuse(seg, -EPROTO,
                          "object '%s' has type %s there, %s here: give one of them another name",
                          name, ipc_shm_type_name_(text[0], sizeof text[0], there),
                          ipc_shm_type_name_(text[1], sizeof text[1], here));
}

IPC_INLINE int ipc_shm_find(struct ipc_shm *seg, const char *name, uint32_t type,
                            struct ipc_shm_object *o)
{
    int64_t nap = IPC_SHM_NAP_;
    uint64_t hash, state;
    uint32_t first, i, passed;
    int rc = ipc_shm_object_name_(seg, name, &hash, &first);

    if (rc != 0 || seg->base == NULL)
        return rc != 0 ? rc : ipc_shm_refuse_closed_(seg);
    for (;;) {
        for (passed = 0; passed < seg->objects; passed++) {
            i = (first + passed) % seg->objects;
            state = ck_pr_load_64(&ipc_shm_entry_at_(seg, i)->state);
            if (state == IPC_SHM_FREE_)
                break;
            if ((state & IPC_SHM_HASH_) != hash)
                continue;
            rc = ipc_shm_read_entry_(seg, i, o);
            if (rc == -EBADMSG)
                return rc;
            if (rc != 0 || strcmp(o->name, name) != 0)
                continue;
            return o->type == type ? 0 : ipc_shm_refuse_type_(seg, name, o->type, type);
        }
        rc = ipc_shm_wait_(seg->deadline, &nap);
        if (rc != 0)
            break;
    }
    return ipc_shm_refuse(seg, seg->deadline == IPC_NOW ? -ENOENT : rc,
                          "no object '%s' in the segment%s: has the program that makes it "
                          "done so? ipc_top lists what is there", name,
                          rc == -EINTR ? " until a signal came" : "");
}

#endif
