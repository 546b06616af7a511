/* SPDX-License-Identifier: BSD-3-Clause */
/* options.c - whole configurations: defaults, single settings, what must hold between options, and
 * the public pmx_options object. Knows nothing of how values are written (table.c) and of URLs. */
#include "api/options.h"
#include "api/table.h"
#include "api/tls_options.h"
#include "base/mem.h"
#include <string.h>

int config_init(struct config *config)
{
  struct text nowhere;

  text_init(&nowhere, NULL, 0);
  memset(config, 0, sizeof *config);
  for (int id = 0; id < OPTION_COUNT; id++) {
    if (option_apply(config, (enum option_id)id, option_at((size_t)id)->def, 1, &nowhere)) {
      config_clear(config);
      return -1;
    }
  }
  return 0;
}

int config_set(struct config *config, const char *name, const char *value, int live_only,
               char *error, size_t error_size)
{
  struct text text;
  enum option_id id;

  text_init(&text, error, error_size);
  if (!name) {
    text_add(&text, "the name of an option is missing (NULL)");
    return SET_INVALID;
  }
  id = option_find(name);
  if (id == OPTION_COUNT) {
    option_add_unknown(&text, name, 1);
    return SET_INVALID;
  }
  if (live_only && !option_at(id)->live) {
    text_add(&text, "%s: cannot be changed in an open client; set it before pmx_open", name);
    return SET_INVALID;
  }
  return option_apply(config, id, value, 1, &text);
}

/* ---- between options ---- */

static int check_order(const struct config *config, enum option_id low, enum option_id high,
                       struct text *error)
{
  if (option_number(config, low) <= option_number(config, high))
    return 0;
  text_add(error, "%s=", option_at(low)->name);
  option_print(error, config, low);
  text_add(error, " is more than %s=", option_at(high)->name);
  option_print(error, config, high);
  text_add(error, "; lower the first or raise the second");
  return -1;
}

static int is_printable(const char *s, unsigned char first, unsigned char last)
{
  while (*s && (unsigned char)*s >= first && (unsigned char)*s <= last && *s != 127)
    s++;
  return !*s;
}

static int check_names(const struct config *config, struct text *error)
{
  const char *bad;

  if (strcmp(config->pool_name, CONTROL_NAME) == 0) { /* which statistics could not tell apart */
    text_add(error, "pool.name: \"" CONTROL_NAME "\" is the name of the control connection; valid: "
                    "any other");
    return -1;
  }
  if (!is_printable(config->client_name, '!', '~')) { /* what CLIENT SETNAME takes */
    bad = config->client_name;
    text_add(error, "client_name: ");
  } else if (!is_printable(config->pool_name, ' ', 255)) { /* it appears in log lines */
    bad = config->pool_name;
    text_add(error, "pool.name: ");
  } else {
    return 0;
  }
  text_add(error, "\"");
  text_add_quoted(error, bad, strlen(bad), QUOTE_MAX);
  text_add(error, "\" has characters that are not possible; valid: %s",
           bad == config->client_name ? "printable ASCII without blanks"
                                      : "anything but control characters");
  return -1;
}

/* The user may come from a URL, of which no part of the login is ever shown. */
static int check_login(const struct config *config, struct text *error)
{
  if (!*config->user || *config->password || config->credentials)
    return 0;
  text_add(error, "user is set, but password is empty; set both, or call "
                  "pmx_options_set_credentials");
  return -1;
}

int config_check(const struct config *config, char *error, size_t error_size)
{
  struct text text;

  text_init(&text, error, error_size);
  if (check_names(config, &text) || check_login(config, &text) || tls_options_check(config, &text) ||
      check_order(config, OPTION_ID_pool_min_idle, OPTION_ID_pool_max_size, &text) ||
      check_order(config, OPTION_ID_pool_min_idle, OPTION_ID_pool_max_idle, &text) ||
      check_order(config, OPTION_ID_reconnect_min_delay, OPTION_ID_reconnect_max_delay, &text))
    return -1;
  return 0;
}

/* ---- the public object ---- */

/* Numbers are printed when they change, so that reading stays const and many texts stay valid. */
static void refresh_text(pmx_options *options, enum option_id id)
{
  const char *kind = option_at(id)->kind;
  struct text text;

  text_init(&text, options->text[id], sizeof options->text[id]);
  if (strcmp(kind, "STRING") != 0)
    option_print(&text, &options->config, id);
}

pmx_options *pmx_options_new(void)
{
  pmx_options *options = mem_zalloc(sizeof *options);

  if (!options)
    return NULL;
  if (config_init(&options->config)) {
    mem_free(options);
    return NULL;
  }
  for (int id = 0; id < OPTION_COUNT; id++)
    refresh_text(options, (enum option_id)id);
  return options;
}

void pmx_options_free(pmx_options *options)
{
  if (!options)
    return;
  config_clear(&options->config);
  mem_free(options);
}

/* Running out of memory counts as a bad setting too: nobody who ignores the result may be connected
 * with a host or a password that was never stored. */
pmx_status pmx_options_set(pmx_options *options, const char *name, const char *value)
{
  char error[sizeof options->error];
  int result;

  if (!options)
    return PMX_INVALID;
  result = config_set(&options->config, name, value, 0, error, sizeof error);
  if (result == SET_OK) {
    refresh_text(options, option_find(name));
    return PMX_OK;
  }
  if (!*options->error)
    memcpy(options->error, error, strlen(error) + 1);
  return result == SET_NOMEM ? PMX_NOMEM : PMX_INVALID;
}

const char *pmx_options_get(const pmx_options *options, const char *name)
{
  enum option_id id;

  if (!options || !name)
    return NULL;
  id = option_find(name);
  if (id == OPTION_COUNT || strcmp(option_at(id)->kind, "SECRET") == 0)
    return NULL;
  if (strcmp(option_at(id)->kind, "STRING") == 0)
    return option_string(&options->config, id);
  return options->text[id];
}

const char *pmx_options_error(const pmx_options *options)
{
  return options ? options->error : "";
}

void pmx_options_set_credentials(pmx_options *options, pmx_credentials_fn fn, void *ud)
{
  if (!options)
    return;
  options->config.credentials = fn;
  options->config.credentials_ud = ud;
}

void pmx_options_set_passphrase(pmx_options *options, pmx_passphrase_fn fn, void *ud)
{
  if (!options)
    return;
  options->config.passphrase = fn;
  options->config.passphrase_ud = ud;
}

void pmx_options_set_log(pmx_options *options, pmx_log_fn fn, pmx_log_level max, void *ud)
{
  if (!options)
    return;
  options->config.log = fn;
  options->config.log_max = max;
  options->config.log_ud = ud;
}

void pmx_options_set_events(pmx_options *options, pmx_event_fn fn, void *ud)
{
  if (!options)
    return;
  options->config.event = fn;
  options->config.event_ud = ud;
}

void pmx_options_set_trace(pmx_options *options, const pmx_trace *trace, void *ud)
{
  pmx_trace copy = {0};

  if (!options)
    return;
  /* A program built with an older header has a shorter struct. */
  if (trace)
    memcpy(&copy, trace, trace->size < sizeof copy ? trace->size : sizeof copy);
  if (!copy.begin || !copy.end)
    copy = (pmx_trace){0};
  options->config.trace = copy;
  options->config.trace_ud = ud;
}
