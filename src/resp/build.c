/* SPDX-License-Identifier: BSD-3-Clause */
/* build.c - owns the object functions given to hiredis' reader, and every difference between its
 * versions: 0.14 (int counts, five functions, RESP2) and >= 1.0 (size_t, seven, RESP3). Nothing is
 * ever allocated by a count that was only announced. Knows nothing of connections. */
#include "resp/build.h"
#include "base/text.h"
#include <limits.h>
#include <string.h>

#if HIREDIS_MAJOR < 1
typedef int reader_count;
#else
typedef size_t reader_count;
#endif

enum { ELEMS_FIRST = 16 };

/* The reader's type of the item it is in, or -1: between two. */
static int pending_type(const redisReader *reader)
{
  if (reader->ridx < 0)
    return -1;
#if HIREDIS_MAJOR < 1
  return reader->rstack[reader->ridx].type;
#else
  return reader->task[reader->ridx]->type;
#endif
}

static int is_attribute(const redisReadTask *task)
{
#ifdef REDIS_REPLY_ATTR
  return task->type == REDIS_REPLY_ATTR;
#else
  return task->type < 0;
#endif
}

static int is_push(const redisReadTask *task)
{
#ifdef REDIS_REPLY_PUSH
  return task->type == REDIS_REPLY_PUSH;
#else
  return task->type < 0;
#endif
}

static pmx_type type_of(const redisReadTask *task)
{
  switch (task->type) {
  case REDIS_REPLY_STATUS:
    return PMX_TYPE_SIMPLE;
  case REDIS_REPLY_ERROR:
    return PMX_TYPE_ERROR;
  case REDIS_REPLY_ARRAY:
    return PMX_TYPE_ARRAY;
#if HIREDIS_MAJOR >= 1
  case REDIS_REPLY_MAP:
  case REDIS_REPLY_ATTR:
    return PMX_TYPE_MAP;
  case REDIS_REPLY_SET:
    return PMX_TYPE_SET;
  case REDIS_REPLY_PUSH:
    return PMX_TYPE_PUSH;
  case REDIS_REPLY_VERB:
    return PMX_TYPE_VERBATIM;
#ifdef REDIS_REPLY_BIGNUM
  case REDIS_REPLY_BIGNUM:
    return PMX_TYPE_BIGNUM;
#endif
#endif
  default:
    return PMX_TYPE_STRING;
  }
}

void *build_refuse(struct build *b, pmx_cause cause, const char *format, ...)
{
  struct text text;
  va_list args;

  if (b->cause != PMX_CAUSE_NONE)
    return NULL;
  b->cause = cause;
  text_init(&text, b->text, sizeof b->text);
  va_start(args, format);
  text_vadd(&text, format, args);
  va_end(args);
  return NULL;
}

static void *refuse_alloc(struct build *b, int over)
{
  if (over)
    return build_refuse(b, PMX_CAUSE_TOO_LARGE,
                        "a reply needs more than the %zu bytes of reply.max_size",
                        b->limits.max_bytes);
  return build_refuse(b, PMX_CAUSE_NOMEM, "out of memory for a reply");
}

/* Vectors double in the arena as elements arrive, so their room follows from how many there are. */
static int make_room(struct build *b, pmx_reply *parent, size_t announced)
{
  size_t have = parent->len, cap = have ? have * 2 : ELEMS_FIRST;
  pmx_reply **elems;

  if (have && (have < ELEMS_FIRST || (have & (have - 1))))
    return 0;
  elems = reply_tree_alloc(b->tree, (cap < announced ? cap : announced) * sizeof(*elems));
  if (!elems)
    return -1;
  if (have)
    memcpy(elems, parent->elems, have * sizeof(*elems));
  parent->elems = elems;
  return 0;
}

static pmx_reply *add_scalar(struct build *b, size_t extra)
{
  int over = sizeof(pmx_reply) + extra > b->limits.max_bytes;
  pmx_reply *node = over ? NULL : reply_scalar_new(extra);

  return node ? node : refuse_alloc(b, over);
}

static pmx_reply *add_to_tree(struct build *b, pmx_reply *parent, size_t announced, size_t extra)
{
  pmx_reply *node;

  if (!b->tree)
    b->tree = reply_tree_new(0, b->limits.max_bytes);
  if (!b->tree)
    return refuse_alloc(b, 0);
  if (parent && make_room(b, parent, announced))
    return refuse_alloc(b, reply_tree_over(b->tree));
  node = reply_tree_alloc(b->tree, sizeof *node + extra);
  if (!node)
    return refuse_alloc(b, reply_tree_over(b->tree));
  memset(node, 0, sizeof *node);
  node->tree = b->tree;
  if (parent)
    parent->elems[parent->len++] = node;
  return node;
}

/* A node at its place, with `extra` bytes behind it. */
static pmx_reply *add_node(const redisReadTask *task, pmx_type type, size_t extra)
{
  struct build *b = task->privdata;
  pmx_reply *node;

  if (task->parent)
    node = add_to_tree(b, task->parent->obj, (size_t)task->parent->elements, extra);
  else if (type < PMX_TYPE_ARRAY)
    node = add_scalar(b, extra);
  else
    node = add_to_tree(b, NULL, 0, extra);
  if (node)
    node->type = (uint8_t)type;
  return node;
}

int build_bulk_fits(const struct build *b, uint64_t len)
{
#if HIREDIS_MAJOR < 1
  /* Its search for the end of a line counts the rest of the buffer in int. */
  if (len > INT_MAX - 1024 * 1024)
    return 0;
#endif
  return len < b->limits.max_bytes;
}

/* The reader looks neither at what ends a bulk string nor, in 0.14, into a line. */
static int is_well_formed(struct build *b, pmx_type type, const char *bytes, size_t len)
{
  if (type != PMX_TYPE_STRING && type != PMX_TYPE_VERBATIM) {
    if (!memchr(bytes, '\r', len) && !memchr(bytes, '\n', len))
      return 1;
    build_refuse(b, PMX_CAUSE_PROTOCOL, "a line break inside a line");
    return 0;
  }
  if (!build_bulk_fits(b, len)) {
    build_refuse(b, PMX_CAUSE_TOO_LARGE, "a bulk string of %zu bytes; reply.max_size is %zu", len,
                 b->limits.max_bytes);
    return 0;
  }
  if (bytes[len] == '\r' && bytes[len + 1] == '\n')
    return 1;
  build_refuse(b, PMX_CAUSE_PROTOCOL, "a bulk string is not as long as it says");
  return 0;
}

/* Copies text behind its node. An error's code gets a NUL of its own, behind the text. */
static pmx_reply *add_text(const redisReadTask *task, pmx_type type, const char *bytes, size_t len)
{
  const char *space = type == PMX_TYPE_ERROR ? memchr(bytes, ' ', len) : NULL;
  size_t code = space ? (size_t)(space - bytes) : len;
  size_t extra = type == PMX_TYPE_ERROR ? code + 1 : 0;
  pmx_reply *node = add_node(task, type, len + 1 + extra);
  char *copy;

  if (!node)
    return NULL;
  copy = (char *)(node + 1);
  memcpy(copy, bytes, len);
  copy[len] = '\0';
  node->str = copy;
  node->len = len;
  if (type == PMX_TYPE_ERROR) {
    node->status = PMX_SERVER_ERROR;
    node->integer = (int64_t)len + 1;
    memcpy(copy + len + 1, bytes, code);
    copy[len + 1 + code] = '\0';
  }
  return node;
}

/* The most frequent answers that are always the same take no memory. */
static int is_plain_ok(const redisReadTask *task, pmx_type type, const char *bytes, size_t len)
{
  return type == PMX_TYPE_SIMPLE && !task->parent && len == 2 && memcmp(bytes, "OK", 2) == 0;
}

static void *create_string(const redisReadTask *task, char *bytes, size_t len)
{
  pmx_type type = type_of(task);

  if (is_plain_ok(task, type, bytes, len))
    return reply_ok();
  if (!is_well_formed(task->privdata, type, bytes, len))
    return NULL;
  if (type == PMX_TYPE_VERBATIM && len >= 4) { /* "txt:" */
    bytes += 4;
    len -= 4;
  }
  return add_text(task, type, bytes, len);
}

static void *create_array(const redisReadTask *task, reader_count announced)
{
  struct build *b = task->privdata;
  size_t count = (size_t)announced;
  unsigned depth = (unsigned)b->reader->ridx + 1;

  if (is_attribute(task)) {
    if (task->parent)
      return build_refuse(b, PMX_CAUSE_PROTOCOL, "an attribute inside a reply");
    b->attribute = 1;
  }
  if (depth > b->limits.max_depth)
    return build_refuse(b, PMX_CAUSE_TOO_LARGE,
                        "a reply nested deeper than the %u of reply.max_depth",
                        b->limits.max_depth);
  if (count > b->limits.max_elements - b->elements || count > INT_MAX - 1)
    return build_refuse(b, PMX_CAUSE_TOO_LARGE,
                        "a reply of %zu elements or more; reply.max_elements is %zu", count,
                        b->limits.max_elements);
  b->elements += count;
  return add_node(task, type_of(task), 0);
}

static void *create_integer(const redisReadTask *task, long long value)
{
  pmx_reply *node = add_node(task, PMX_TYPE_INTEGER, 0);

  if (node)
    node->integer = value;
  return node;
}

static void *create_nil(const redisReadTask *task)
{
  /* ">-1" would pass for somebody's reply. */
  if (is_attribute(task) || is_push(task))
    return build_refuse(task->privdata, PMX_CAUSE_PROTOCOL, "a push or attribute that is null");
  return task->parent ? add_node(task, PMX_TYPE_NIL, 0) : reply_nil();
}

/* A tree is freed as a whole, and a scalar is complete when it is made: by decode.c. */
static void free_object(void *object)
{
  (void)object;
}

#if HIREDIS_MAJOR >= 1
static void *create_double(const redisReadTask *task, double value, char *bytes, size_t len)
{
  pmx_reply *node = add_text(task, PMX_TYPE_DOUBLE, bytes, len);

  if (node)
    node->number = value;
  return node;
}

static void *create_bool(const redisReadTask *task, int value)
{
  pmx_reply *node = add_node(task, PMX_TYPE_BOOL, 0);

  if (node)
    node->integer = value != 0;
  return node;
}
#endif

/* Never written; hiredis takes no pointer to const. */
static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
#if HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_bool,
#endif
    .createNil = create_nil,
    .freeObject = free_object,
};

int build_open(struct build *b)
{
  redisReader *reader = redisReaderCreateWithFunctions(&functions);

  if (!reader)
    return -1;
  reader->privdata = b; /* the macro for this casts to int */
  reader->maxbuf = 0; /* 0.14 asserts that memory for a smaller buffer is there: decode.c does it */
#if HIREDIS_MAJOR >= 1
  reader->maxelements = INT_MAX / 2; /* a map doubles it, and the reader counts in int */
  if (!b->plain)
    b->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
#endif
  if (b->reader)
    redisReaderFree(b->reader);
  b->reader = reader;
  return 0;
}

void build_close(struct build *b)
{
  if (b->reader)
    redisReaderFree(b->reader);
  b->reader = NULL;
  if (b->plain)
    freelocale(b->plain);
  b->plain = (locale_t)0;
}

int build_next(struct build *b, pmx_reply **ret)
{
  void *object = NULL;
  int rc;
#if HIREDIS_MAJOR >= 1
  locale_t old = uselocale(b->plain);
#endif

  rc = redisReaderGetReply(b->reader, &object);
#if HIREDIS_MAJOR >= 1
  uselocale(old);
#endif
  *ret = object;
  return rc;
}

enum pending build_pending(const struct build *b)
{
  int type = pending_type(b->reader);

  if (type < 0)
    return PENDING_NONE;
#ifdef REDIS_REPLY_VERB
  if (type == REDIS_REPLY_VERB)
    return PENDING_BULK;
#endif
  return type == REDIS_REPLY_STRING ? PENDING_BULK : PENDING_LINE;
}
