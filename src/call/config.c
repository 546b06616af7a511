/* SPDX-License-Identifier: BSD-3-Clause */
/* config.c - copying and freeing a configuration. Goes by the columns of options.def, so that a new
 * option needs no line here; knows nothing of names, defaults and ranges. */
#include "call/config.h"
#include "base/clock.h"
#include "base/mem.h"
#include <string.h>

static int copy_string(char **to, const char *from)
{
  *to = mem_strdup(from ? from : "");
  return *to ? 0 : -1;
}

static void drop_string(char **s)
{
  mem_free(*s);
  *s = NULL;
}

static void drop_secret(char **s)
{
  if (*s)
    mem_wipe(*s, strlen(*s));
  drop_string(s);
}

#define COPY_BOOL(field) to->field = from->field;
#define COPY_INT(field) to->field = from->field;
#define COPY_DURATION(field) to->field = from->field;
#define COPY_SIZE(field) to->field = from->field;
#define COPY_ENUM(field) to->field = from->field;
#define COPY_STRING(field) failed |= copy_string(&to->field, from->field);
#define COPY_SECRET(field) failed |= copy_string(&to->field, from->field);

int config_copy(struct config *to, const struct config *from)
{
  int failed = 0;

  memset(to, 0, sizeof *to);
#define OPTION(field, name, kind, def, min, max, names, live, help) COPY_##kind(field)
#include "call/options.def"
#undef OPTION
  to->credentials = from->credentials;
  to->credentials_ud = from->credentials_ud;
  to->passphrase = from->passphrase;
  to->passphrase_ud = from->passphrase_ud;
  to->log = from->log;
  to->log_max = from->log_max;
  to->log_ud = from->log_ud;
  to->event = from->event;
  to->event_ud = from->event_ud;
  to->trace = from->trace;
  to->trace_ud = from->trace_ud;
  if (failed)
    config_clear(to);
  return failed;
}

#define CLEAR_BOOL(field)
#define CLEAR_INT(field)
#define CLEAR_DURATION(field)
#define CLEAR_SIZE(field)
#define CLEAR_ENUM(field)
#define CLEAR_STRING(field) drop_string(&config->field);
#define CLEAR_SECRET(field) drop_secret(&config->field);

void config_clear(struct config *config)
{
#define OPTION(field, name, kind, def, min, max, names, live, help) CLEAR_##kind(field)
#include "call/options.def"
#undef OPTION
  memset(config, 0, sizeof *config);
}
