/*
 * The books of all stocks: orders by their reference numbers, and the price levels that they make.
 *
 *   orders   a hash table with linear probing, which doubles when it is half full
 *   levels   of each side a sorted array with the best price last, where most changes are
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef BOOK_H
#define BOOK_H 1

#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BUY, SELL, STOCKS = 65536 };

struct order {
    uint64_t reference; /* 0: the place is free. The exchange gives no order that number */
    uint32_t shares, price;
    uint16_t locate;
    uint8_t side;
};

struct level {
    uint32_t price, orders;
    uint64_t shares;
};

struct side {
    struct level *level; /* [n - 1] is the best */
    uint32_t n, room;
};

struct quote {
    uint32_t bid, bid_shares, ask, ask_shares; /* 0: there is none */
};

struct book {
    char stock[8];
    struct side side[2];
    struct quote told; /* the last that was published */
    uint64_t trades, volume;
};

struct market {
    struct book *book;   /* by the stock's locate number */
    struct order *order; /* a table of mask + 1 places */
    uint64_t mask, orders;
};

static inline void *book_room(void *old, size_t n, size_t size)
{
    void *room = reallocarray(old, n, size);

    if (room == NULL)
        err(1, "books");
    return room;
}

/* `orders`: how many are expected. The memory is touched, so that no order waits for a page. */
static inline void market_open(struct market *m, uint64_t orders)
{
    memset(m, 0, sizeof *m);
    for (m->mask = 1024; m->mask < 2 * orders; m->mask *= 2)
        ;
    m->order = book_room(NULL, m->mask, sizeof *m->order);
    memset(m->order, 0, m->mask * sizeof *m->order);
    m->mask--;
    m->book = book_room(NULL, STOCKS, sizeof *m->book);
    memset(m->book, 0, STOCKS * sizeof *m->book);
}

static inline void market_close(struct market *m)
{
    unsigned i;

    for (i = 0; i < STOCKS; i++) {
        free(m->book[i].side[BUY].level);
        free(m->book[i].side[SELL].level);
    }
    free(m->book);
    free(m->order);
}

/* ------------------------------------------------------------------ levels */

/* Where the price's level is, or would be. */
static inline uint32_t level_find(const struct side *s, unsigned side, uint32_t price)
{
    uint32_t low = 0, high = s->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2, at = s->level[middle].price;

        if (side == BUY ? at < price : at > price)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline void level_add(struct side *s, unsigned side, uint32_t price, uint32_t shares)
{
    uint32_t i = level_find(s, side, price);

    if (i == s->n || s->level[i].price != price) {
        if (s->n == s->room) {
            s->room = s->room != 0 ? 2 * s->room : 64;
            s->level = book_room(s->level, s->room, sizeof *s->level);
        }
        memmove(s->level + i + 1, s->level + i, (s->n++ - i) * sizeof *s->level);
        s->level[i] = (struct level){.price = price};
    }
    s->level[i].orders++;
    s->level[i].shares += shares;
}

/* The level of an order in the book is there. */
static inline void level_take(struct side *s, const struct order *o, uint32_t shares)
{
    uint32_t i = level_find(s, o->side, o->price);

    s->level[i].shares -= shares;
    if (shares == o->shares && --s->level[i].orders == 0)
        memmove(s->level + i, s->level + i + 1, (--s->n - i) * sizeof *s->level);
}

/* ------------------------------------------------------------------ orders */

static inline uint64_t order_place(const struct market *m, uint64_t reference)
{
    return (reference * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & m->mask;
}

/* The order's place in the table, or the free one where it would go. */
static inline struct order *order_find(const struct market *m, uint64_t reference)
{
    uint64_t i = order_place(m, reference);

    while (m->order[i].reference != 0 && m->order[i].reference != reference)
        i = (i + 1) & m->mask;
    return &m->order[i];
}

static inline void market_grow(struct market *m)
{
    struct order *old = m->order;
    uint64_t i, n = m->mask + 1;

    m->order = book_room(NULL, 2 * n, sizeof *old);
    memset(m->order, 0, 2 * n * sizeof *old);
    m->mask = 2 * n - 1;
    for (i = 0; i < n; i++)
        if (old[i].reference != 0)
            *order_find(m, old[i].reference) = old[i];
    free(old);
}

/* 0; -1: there is an order of that number, or no order can have it. */
static inline int order_add(struct market *m, const struct order *new)
{
    struct order *o;

    if (new->reference == 0 || new->shares == 0)
        return -1;
    if (2 * m->orders > m->mask)
        market_grow(m);
    o = order_find(m, new->reference);
    if (o->reference != 0)
        return -1;
    *o = *new;
    m->orders++;
    level_add(&m->book[new->locate].side[new->side], new->side, new->price, new->shares);
    return 0;
}

/* Executes or cancels so many of an order's shares; all: it leaves the book. 0; -1: it has fewer,
 * and has left. */
static inline int order_take(struct market *m, struct order *o, uint32_t shares)
{
    uint64_t hole = (uint64_t)(o - m->order), i = hole;
    int rc = shares > o->shares ? -1 : 0;

    shares = rc == 0 ? shares : o->shares;
    level_take(&m->book[o->locate].side[o->side], o, shares);
    o->shares -= shares;
    if (o->shares > 0)
        return rc;
    /* An order behind the hole moves into it, unless its search begins after the hole. */
    while (m->order[i = (i + 1) & m->mask].reference != 0)
        if (((i - order_place(m, m->order[i].reference)) & m->mask) >= ((i - hole) & m->mask)) {
            m->order[hole] = m->order[i];
            hole = i;
        }
    m->order[hole].reference = 0;
    m->orders--;
    return rc;
}

/* ------------------------------------------------------------------ quotes */

static inline uint32_t best_of(const struct side *s, uint32_t *shares)
{
    const struct level *best;

    *shares = 0;
    if (s->n == 0)
        return 0;
    best = &s->level[s->n - 1];
    *shares = best->shares > UINT32_MAX ? UINT32_MAX : (uint32_t)best->shares;
    return best->price;
}

static inline struct quote book_quote(const struct book *b)
{
    struct quote q;

    q.bid = best_of(&b->side[BUY], &q.bid_shares);
    q.ask = best_of(&b->side[SELL], &q.ask_shares);
    return q;
}

#endif
