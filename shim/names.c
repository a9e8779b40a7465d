/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <errno.h>
#include <string.h>

#include "descriptors.h"
#include "libc.h"
#include "process.h"
#include "status.h"

struct sockaddr_in name_of(const struct engine_endpoint *endpoint)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
    memcpy(&name.sin_addr, endpoint->addr, sizeof(name.sin_addr));
    return name;
}

int name_parse(const struct sockaddr *name, socklen_t size, struct engine_endpoint *endpoint)
{
    struct sockaddr_in copy;
    if (size < sizeof(copy) || size > sizeof(struct sockaddr_storage))
        return -EINVAL;
    if (name == NULL)
        return -EFAULT;
    memcpy(&copy, name, sizeof(copy));
    if (copy.sin_family != AF_INET)
        return -EAFNOSUPPORT;
    *endpoint = (struct engine_endpoint){.family = ENGINE_IPV4, .port = ntohs(copy.sin_port)};
    memcpy(endpoint->addr, &copy.sin_addr, sizeof(copy.sin_addr));
    return 0;
}

int name_write(const struct engine_endpoint *endpoint, struct sockaddr *name, socklen_t *size)
{
    struct sockaddr_in full = name_of(endpoint);
    if (name == NULL || size == NULL)
        return -EFAULT;
    if ((int)*size < 0)
        return -EINVAL;
    memcpy(name, &full, *size < sizeof(full) ? *size : sizeof(full));
    *size = sizeof(full);
    return 0;
}

static int local_name(struct engine_socket *socket, struct sockaddr *name, socklen_t *size)
{
    struct engine_status status = status_of(socket);
    return name_write(&status.local, name, size);
}

static int peer_name(struct engine_socket *socket, struct sockaddr *name, socklen_t *size)
{
    struct engine_status status = status_of(socket);
    return status.connected ? name_write(&status.remote, name, size) : -ENOTCONN;
}

int getsockname(int fd, struct sockaddr *name, socklen_t *size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_recognise(fd, &socket))
        return libc.getsockname(fd, name, size);
    return (int)result(local_name(socket, name, size));
}

int getpeername(int fd, struct sockaddr *name, socklen_t *size)
{
    struct engine_socket *socket HELD = NULL;
    if (!descriptors_recognise(fd, &socket))
        return libc.getpeername(fd, name, size);
    return (int)result(peer_name(socket, name, size));
}
