/* What the parts of ipc_bridge share: the rings that it carries, and what goes over the link. */
#ifndef IPC_BRIDGE_H
#define IPC_BRIDGE_H

#include "ipc_notify.h"
#include "ipc_ring.h"
#include "ipc_shm.h"

#include "state.h"

enum {
    BATCH = 65536,         /* bytes of messages in a frame, but for one that is longer */
    WINDOW = 1 << 20,      /* bytes on the way, at most, but for one message that is longer */
    LONGEST = 64 << 20,    /* bytes of a message */
    AGAIN_MS = 1000        /* until what was refused, or not answered, is tried again */
};
#define FURTHEST (UINT64_C(1) << 62) /* a gap takes no ring beyond that: positions do not wrap */

/* The end of a ring that is read. Two handles: one holds the end, and says what the producer may
 * overwrite; the other reads ahead, and stores nothing. */
struct source {
    union {
        struct ipc_spsc_consumer spsc;
        struct ipc_broadcast_consumer broadcast;
        struct ipc_record_consumer record;
        struct ipc_record_broadcast_consumer tape;
    } end;
    union {
        struct ipc_spsc_consumer spsc;
        struct ipc_record_consumer record;
    } ahead;
    uint64_t number; /* of the next message, where the ring does not count */
    /* Of a ring with many at an end. What it takes from there goes through a ring of the bridge's
     * own, the stage, of which the handles above are. */
    union {
        struct ipc_mpmc_consumer mpmc;
        struct ipc_record_consumer lanes;
    } feed;
    union {
        struct ipc_spsc_producer spsc;
        struct ipc_record_producer record;
    } stage;
};

/* The end of a ring that is written. */
struct sink {
    union {
        struct ipc_spsc_producer spsc;
        struct ipc_broadcast_producer broadcast;
        struct ipc_record_producer record;
        struct ipc_record_broadcast_producer tape;
        struct ipc_mpmc_producer mpmc;
    } end;
    uint64_t count; /* of messages pushed, where others push, too */
};

/* What a ring is, as its other end is to make it. */
struct geometry {
    uint32_t type, how, version, pad;
    uint64_t bytes, capacity;
};

/* How each kind of ring is read and written. */
struct kind {
    uint32_t type;
    int variant;
    int (*attach_source)(struct source *s, void *mem, size_t size, size_t bytes, struct ipc_peer *me);
    void (*detach_source)(struct source *s);
    /* The oldest message that can be read. */
    struct place (*start)(const struct source *s);
    /* Goes on `skip` messages behind a place, or behind what is lost by now. -ERANGE: there are not
     * so many. */
    int (*go_to)(struct source *s, struct place from, uint64_t skip);
    /* Copies the next message out: its length; -EAGAIN: there is none; -EMSGSIZE: there is no room
     * for it; -EOVERFLOW: some were lost; or another errno. */
    int64_t (*read)(struct source *s, void *to, size_t room);
    struct place (*where)(const struct source *s); /* of the message that is read next */
    void (*release)(struct source *s, struct place before);

    size_t (*footprint)(const struct geometry *g);
    int (*init)(void *mem, size_t size, const struct geometry *g);
    int (*attach_sink)(struct sink *s, void *mem, size_t size, size_t bytes, struct ipc_peer *me);
    void (*detach_sink)(struct sink *s);
    uint64_t (*tail)(const struct sink *s);
    /* How many messages were pushed from a position on. A negative errno: it cannot be. */
    int64_t (*count)(struct sink *s, uint64_t from);
    /* How far a push of n bytes moves the tail at most. */
    uint64_t (*span)(uint64_t n);
    int (*push)(struct sink *s, const void *message, size_t n);
    /* Lossy: tells the readers that they missed n from place `from` of the ring on, or the rest. */
    void (*skip)(struct sink *s, uint64_t from, uint64_t n);
    /* Of a ring with many at an end; else NULL. The stage is such a ring, and feed moves what it has
     * room for: whether it moved something. */
    uint32_t stage;
    int (*attach_feed)(struct source *s, void *mem, size_t size, size_t bytes, struct ipc_peer *me);
    void (*detach_feed)(struct source *s);
    int (*feed)(struct source *s);
};

/* The kind of such a ring, or NULL: it is not carried; *why says so. */
const struct kind *find_kind(uint32_t type, uint32_t how, const char **why);
/* The type under which a segment lists a ring of that name of ipc_ring_inspect. 0: none. */
uint32_t type_of(const char *kind);

/* ------------------------------------------------------------------ over the link */

#define PROTOCOL 1u

enum { HELLO = 1, WELCOME, REFUSAL, DATA, ACK, RESTART };

/* What each frame begins with. The side that reads a ring says HELLO and sends DATA; the other one
 * says WELCOME, REFUSAL or RESTART, and ACK. A session is one HELLO and what follows it. */
struct frame {
    uint32_t what;
    uint32_t count; /* DATA: messages */
    uint64_t session;
    struct place at; /* HELLO: the oldest message; WELCOME: see skip; DATA: the first; ACK: all before
                        are in the other ring */
    uint64_t skip;   /* WELCOME: the other ring has what is before `at`, and so many behind it; ACK:
                        how many messages of this session were pushed */
    uint64_t bytes;  /* ACK: of messages of this session that were taken */
};

struct hello {
    struct frame head;
    uint32_t protocol, pad;
    uint64_t epoch;
    struct geometry is;
    char name[IPC_SHM_NAME_MAX + 1];
};

struct refusal {
    struct frame head;
    char why[256];
};

/* Before each record in DATA, whose bytes follow. Messages of one size have none. */
struct record {
    uint64_t end; /* the position behind it */
    uint64_t n;
};

/* Do the messages of such a ring have lengths of their own? */
static inline int is_of_records(const struct geometry *g)
{
    return g->type == IPC_RECORD_TYPE || g->type == IPC_RECORD_BROADCAST_TYPE;
}

/* ------------------------------------------------------------------ objects */

struct bridge;

enum step { ABSENT, THERE, ASKED, AGREED };

struct pending { /* a part of a frame for which there was no room */
    struct pending *next;
    struct frame head;
    size_t n, at;
    unsigned char bytes[];
};

/* A ring that is carried, in one direction. */
struct object {
    int is_out;
    char segment[256], name[IPC_SHM_NAME_MAX + 1];
    struct bridge *bridge; /* of ipc_bridge.c, for send_frame */
    size_t room; /* in: bytes that a segment is created with; 0: what the ring needs, and 1 MiB */
    /* THERE: the ring is attached; ASKED: out: HELLO was sent; AGREED: messages may go. */
    enum step step;
    struct ipc_shm seg;
    struct ipc_shm own; /* a segment of the bridge's: for the stage, or where `seg` is full */
    int is_open, has_own, has_stage; /* is_open: seg */
    struct ipc_shm_object ring;
    struct geometry is;
    const struct kind *kind, *from; /* from: the ring that is read ahead: the stage, or the same */
    struct ipc_notify ours, theirs; /* the bell that we sleep on, the one that we post */
    struct bridge_state *state;
    uint64_t session;
    int64_t next_try, next_look;
    char said[300]; /* the last complaint, so as to make it once */
    /* out */
    struct source source;
    uint64_t expected; /* the number of the next message, if none is lost */
    uint64_t sent, taken; /* bytes in this session; those that were acknowledged */
    unsigned char *frame; /* the next one, of which `frame_n` bytes are to be sent; 0: none */
    size_t frame_n, frame_size;
    /* in */
    struct sink sink;
    uint64_t epoch;
    struct place place; /* of the next message, in the ring that is read */
    uint64_t marked;    /* the tail at the last mark */
    uint64_t got, pushed; /* bytes, and messages, in this session */
    int ack_due, is_placed; /* is_placed: `place.at` is known */
    struct pending *first, **last;
    size_t pending; /* bytes */
};

/* object.c */
uint64_t random_number(void);
void complain(struct object *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* 0, or -1: it has complained. */
int open_source(struct object *o);
int open_sink(struct object *o, const struct geometry *g);
/* Once a second: was the segment removed, or replaced by another? */
int is_replaced(struct object *o);
void close_object(struct object *o);

/* out.c, in.c: `work` returns whether something was done. `forget_*`: the other side is gone. */
int work_out(struct object *o);
void hear_out(struct object *o, const struct frame *f, size_t n);
void forget_out(struct object *o);
int work_in(struct object *o);
void hear_in(struct object *o, const struct frame *f, size_t n);
void forget_in(struct object *o);

/* ipc_bridge.c: 0; -EAGAIN: not now */
int send_frame(struct bridge *b, const void *frame, size_t n);

#endif /* IPC_BRIDGE_H */
