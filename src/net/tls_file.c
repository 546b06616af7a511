/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_file.c - reading the files that tls.* name, and what is said when that fails. Regular files
 * only: nothing that could keep a caller waiting, or that can be read but once. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/err.h>
#include "base/mem.h"
#include "net/tls_context_impl.h"
#include "net/transport.h"

enum { FILE_MAX = 16 * 1024 * 1024 };

int tls_load_no_memory(struct tls_load *load)
{
  load->no_memory = 1;
  ERR_clear_error();
  return -1;
}

void tls_load_blame(struct tls_load *load, const char *option, const char *value)
{
  text_add(&load->error, "%s: \"", option);
  text_add_quoted(&load->error, value, strlen(value), TLS_QUOTE_MAX);
  text_add(&load->error, "\" ");
}

int tls_load_failed(struct tls_load *load, const char *option, const char *value, const char *what)
{
  unsigned long e = ERR_peek_last_error();
  const char *reason = ERR_reason_error_string(e);

  ERR_clear_error();
  if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
    return tls_load_no_memory(load);
  tls_load_blame(load, option, value);
  text_add(&load->error, "%s", what);
  if (reason)
    text_add(&load->error, " (%s)", reason);
  return -1;
}

static int cannot_read(struct tls_load *load, const char *option, const char *path, const char *why)
{
  tls_load_blame(load, option, path);
  text_add(&load->error, "cannot be read: %s; valid: a file in PEM", why);
  return -1;
}

/* The file may shrink or grow while it is read: then it is as long as it was when its end came, up
 * to what it had at first. */
static int read_all(int fd, struct tls_file *file, size_t room)
{
  while (file->size < room) {
    ssize_t n = read(fd, file->bytes + file->size, room - file->size);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? errno : 0;
    file->size += (size_t)n;
  }
  return 0;
}

static int read_open(struct tls_load *load, const char *option, const char *path, int fd,
                     struct tls_file *ret)
{
  struct tls_file file = {0};
  char reason[80];
  struct stat st;
  int err;

  if (fstat(fd, &st))
    return cannot_read(load, option, path, transport_error_text(errno, reason, sizeof reason));
  if (!S_ISREG(st.st_mode))
    return cannot_read(load, option, path,
                       S_ISDIR(st.st_mode) ? "it is a directory" : "it is no regular file");
  if (st.st_size > FILE_MAX)
    return cannot_read(load, option, path, "it is larger than 16 MiB");
  file.bytes = mem_alloc((size_t)st.st_size);
  if (!file.bytes)
    return tls_load_no_memory(load);
  err = read_all(fd, &file, (size_t)st.st_size);
  if (err) {
    tls_file_drop(&file);
    return cannot_read(load, option, path, transport_error_text(err, reason, sizeof reason));
  }
  *ret = file;
  return 0;
}

static int read_file(struct tls_load *load, const char *option, const char *path,
                     struct tls_file *ret)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), result;
  char reason[80];

  if (fd < 0)
    return cannot_read(load, option, path, transport_error_text(errno, reason, sizeof reason));
  result = read_open(load, option, path, fd, ret);
  close(fd);
  return result;
}

/* No fork waits for a disk. */
int tls_file_read(struct tls_load *load, const char *option, const char *path, struct tls_file *ret)
{
  int result;

  fork_let();
  result = read_file(load, option, path, ret);
  fork_hold();
  return result;
}

void tls_file_drop(struct tls_file *file)
{
  if (file->bytes)
    mem_wipe(file->bytes, file->size);
  mem_free(file->bytes);
  *file = (struct tls_file){0};
}
