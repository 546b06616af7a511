/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.c - RESP for the harness: the end of an element, commands, replies as text. One counter of
 * owed elements is enough to find the end of any nesting. No sockets. */
#include "wire.h"
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void wire_buf_add(struct wire_buf *b, const void *bytes, size_t len)
{
  if (len == 0)
    return;
  if (b->cap - b->len < len) {
    size_t cap = (b->len + len) * 2;
    char *data = realloc(b->data, cap);

    if (!data)
      harness_die("out of memory (%zu bytes)", cap);
    b->data = data;
    b->cap = cap;
  }
  memcpy(b->data + b->len, bytes, len);
  b->len += len;
}

void wire_buf_take(struct wire_buf *b, size_t len)
{
  b->len -= len;
  if (b->len > 0 && len > 0)
    memmove(b->data, b->data + len, b->len);
}

void wire_buf_free(struct wire_buf *b)
{
  free(b->data);
  memset(b, 0, sizeof(*b));
}

struct element {
  char type;
  const char *text; /* of the line behind the type, or of the bulk */
  size_t text_len;
  long long n; /* the number of the line, for types that have one */
  size_t size; /* line and bulk; the inner elements of an aggregate are elements of their own */
};

static bool has_bulk(char type)
{
  return type == '$' || type == '=' || type == '!';
}

static bool is_aggregate(char type)
{
  return type == '*' || type == '%' || type == '~' || type == '>' || type == '|';
}

static bool read_number(const char *text, size_t len, long long *ret)
{
  char copy[24], *end;

  if (len == 0 || len >= sizeof(copy))
    return false;
  memcpy(copy, text, len);
  copy[len] = '\0';
  *ret = strtoll(copy, &end, 10);
  return *end == '\0' && *ret >= -1 && *ret < 1LL << 40;
}

static enum wire_result read_bulk(struct element *e, const char *data, size_t len)
{
  size_t n = (size_t)e->n;

  if (e->n < 0)
    return WIRE_DONE;
  if (n > len - e->size || len - e->size - n < 2)
    return WIRE_MORE;
  e->text = data + e->size;
  e->text_len = n;
  if (memcmp(e->text + n, "\r\n", 2) != 0)
    return WIRE_BROKEN;
  e->size += n + 2;
  return WIRE_DONE;
}

static enum wire_result read_element(struct element *e, const char *data, size_t len)
{
  const char *lf;

  if (len == 0)
    return WIRE_MORE;
  if (!memchr("+-:$*_,#(=!%~>|", data[0], 15))
    return WIRE_BROKEN;
  lf = memchr(data, '\n', len);
  if (!lf)
    return WIRE_MORE;
  if (lf - data < 2 || lf[-1] != '\r')
    return WIRE_BROKEN;
  e->type = data[0];
  e->text = data + 1;
  e->text_len = (size_t)(lf - data) - 2;
  e->size = (size_t)(lf - data) + 1;
  if (!has_bulk(e->type) && !is_aggregate(e->type))
    return WIRE_DONE;
  if (!read_number(e->text, e->text_len, &e->n))
    return WIRE_BROKEN;
  return has_bulk(e->type) ? read_bulk(e, data, len) : WIRE_DONE;
}

static uint64_t inner_elements(const struct element *e)
{
  uint64_t n = is_aggregate(e->type) && e->n > 0 ? (uint64_t)e->n : 0;

  return e->type == '%' || e->type == '|' ? n * 2 : n;
}

enum wire_result wire_scan(struct wire_scan *s, const char *data, size_t len)
{
  if (!s->begun) {
    s->begun = true;
    s->owed = 1;
  }
  while (s->owed > 0) {
    struct element e;
    enum wire_result result = read_element(&e, data + s->pos, len - s->pos);

    if (result != WIRE_DONE)
      return result;
    s->pos += e.size;
    s->owed += inner_elements(&e);
    if (e.type != '|')
      s->owed--;
  }
  return WIRE_DONE;
}

bool wire_command_read(struct wire_command *c, const char *data, size_t size)
{
  struct element e;
  size_t pos;

  memset(c, 0, sizeof(*c));
  if (read_element(&e, data, size) != WIRE_DONE || e.type != '*' || e.n < 1)
    return false;
  pos = e.size;
  c->argv = harness_alloc(((size_t)e.n + 1) * sizeof(*c->argv));
  c->len = harness_alloc((size_t)e.n * sizeof(*c->len));
  while (pos < size) {
    if (read_element(&e, data + pos, size - pos) != WIRE_DONE || e.type != '$' || e.n < 0) {
      wire_command_free(c);
      return false;
    }
    c->argv[c->argc] = harness_alloc(e.text_len + 1);
    memcpy(c->argv[c->argc], e.text, e.text_len);
    c->len[c->argc++] = e.text_len;
    pos += e.size;
  }
  return true;
}

void wire_command_free(struct wire_command *c)
{
  for (int i = 0; i < c->argc; i++)
    free(c->argv[i]);
  free(c->argv);
  free(c->len);
  memset(c, 0, sizeof(*c));
}

bool wire_arg_is(const char *arg, size_t len, const char *word)
{
  return strlen(word) == len && strncasecmp(arg, word, len) == 0;
}

void wire_bulk_add(struct wire_buf *b, const void *bytes, size_t len)
{
  char head[32];

  wire_buf_add(b, head, (size_t)snprintf(head, sizeof(head), "$%zu\r\n", len));
  wire_buf_add(b, bytes, len);
  wire_buf_add(b, "\r\n", 2);
}

void wire_command_add(struct wire_buf *b, int argc, const char *const *argv)
{
  char head[32];

  wire_buf_add(b, head, (size_t)snprintf(head, sizeof(head), "*%d\r\n", argc));
  for (int i = 0; i < argc; i++)
    wire_bulk_add(b, argv[i], strlen(argv[i]));
}

static void flatten_leaf(struct wire_buf *out, const struct element *e)
{
  bool null = e->type == '_' || (has_bulk(e->type) && e->n < 0);

  if (out->len > 0)
    wire_buf_add(out, "\n", 1);
  if (e->type == '-' || e->type == '!')
    wire_buf_add(out, "-", 1);
  if (null)
    wire_buf_add(out, "(nil)", 5);
  else if (e->type == '=' && e->text_len >= 4)
    wire_buf_add(out, e->text + 4, e->text_len - 4); /* behind "txt:" */
  else
    wire_buf_add(out, e->text, e->text_len);
}

char *wire_flatten(const char *data, size_t size)
{
  struct wire_buf out = {0};
  size_t pos = 0;
  struct element e;

  while (pos < size && read_element(&e, data + pos, size - pos) == WIRE_DONE) {
    if (!is_aggregate(e.type))
      flatten_leaf(&out, &e);
    else if (e.n < 0)
      flatten_leaf(&out, &(struct element){.type = '_'});
    pos += e.size;
  }
  wire_buf_add(&out, "", 1);
  return out.data;
}
