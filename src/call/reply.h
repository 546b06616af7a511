/* SPDX-License-Identifier: BSD-3-Clause */
/* reply.h - the reply noun: an immutable tree in an arena, refcounted as a whole; or a scalar, one
 * node with its text behind it. resp/decode.c builds replies of servers, everybody builds failures.
 * Public accessors live in reply_access.c. */
#ifndef PMX_CALL_REPLY_H
#define PMX_CALL_REPLY_H
#include <poolmux/poolmux.h>
#include <stdatomic.h>

struct reply_tree;

/* One node. */
struct pmx_reply {
  union {
    struct reply_tree *tree; /* leads to the refcount and the arena */
    atomic_size_t refs;      /* REPLY_SCALAR */
  };
  uint8_t type;   /* pmx_type */
  uint8_t status; /* pmx_status */
  uint8_t cause;  /* pmx_cause */
  uint8_t flags;  /* REPLY_* */
  union {
    int64_t integer; /* INTEGER, BOOL */
    double number;   /* DOUBLE: text is kept as well, in str */
  };
  union {
    const char *str;   /* STRING SIMPLE ERROR BIGNUM VERBATIM DOUBLE FAILURE; NUL-terminated */
    pmx_reply **elems; /* ARRAY MAP SET PUSH */
  };
  size_t len; /* of str, or number of elements */
};

enum {
  REPLY_SAFE_TO_RETRY = 1, /* pmx_reply_safe_to_retry */
  REPLY_IMMORTAL = 2,      /* static: never freed */
  REPLY_SCALAR = 4         /* in no tree */
};

/* ---- building (Thread: the builder's own, before anybody else sees the tree) ---- */

/* With `extra` bytes behind it, for its text; all else in it is zero. NULL: out of memory. */
pmx_reply *reply_scalar_new(size_t extra);
/* A tree that may take at most max_bytes of arena in all. `first_hint` = bytes of the first block
 * (0 = default). NULL: out of memory. */
struct reply_tree *reply_tree_new(size_t first_hint, size_t max_bytes);
void reply_tree_free(struct reply_tree *); /* of an unfinished tree; NULL is ignored */
/* Bytes of the arena, aligned for any type; NULL: out of memory, or over max_bytes
 * (reply_tree_over then says 1). */
void *reply_tree_alloc(struct reply_tree *, size_t size);
int reply_tree_over(const struct reply_tree *);
size_t reply_tree_bytes(const struct reply_tree *);
size_t reply_bytes(const pmx_reply *); /* of the tree that it belongs to, or its own */

/* An array of n that is one allocation. Its elements are NULL, to be filled in before anybody else
 * sees it; each is a reply with a tree of its own, and freed with it. NULL: out of memory. */
pmx_reply *reply_list_new(size_t n);

/* ---- failures made by the library: never NULL ---- */
/* When memory is short, a static reply of the same status and cause, with a static text. */
pmx_reply *reply_failure(pmx_status, pmx_cause, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
pmx_reply *reply_ok(void);  /* "OK"; in constant memory, as the next */
pmx_reply *reply_nil(void);
pmx_reply *reply_failure_text(pmx_status, pmx_cause, const char *text);
/* 1: error reply whose code (first word) is `code`. */
int reply_is_code(const pmx_reply *, const char *code);
/* Marks a fresh, unshared reply. */
void reply_set_safe(pmx_reply *, int safe);

#endif
