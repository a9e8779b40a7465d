/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <errno.h>
#include <string.h>

#include "descriptors.h"
#include "libc.h"
#include "options.h"
#include "process.h"
#include "status.h"

/* What precedes the IPv4 address in a mapped one (RFC 4291 section 2.5.5.2). */
static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static const uint8_t zeros[16];

socklen_t name_of(const struct engine_endpoint *endpoint, bool inet6, union name *name)
{
    *name = (union name){0};
    if (!inet6) {
        name->in.sin_family = AF_INET;
        name->in.sin_port = htons(endpoint->port);
        memcpy(&name->in.sin_addr, endpoint->addr, sizeof(name->in.sin_addr));
        return sizeof(name->in);
    }
    uint8_t *addr = name->in6.sin6_addr.s6_addr;
    name->in6.sin6_family = AF_INET6;
    name->in6.sin6_port = htons(endpoint->port);
    if (endpoint->family == ENGINE_IPV6) {
        memcpy(addr, endpoint->addr, sizeof(endpoint->addr));
    } else {
        memcpy(addr, mapped_prefix, sizeof(mapped_prefix));
        memcpy(addr + sizeof(mapped_prefix), endpoint->addr, sizeof(struct in_addr));
    }
    return sizeof(name->in6);
}

static struct engine_endpoint parse_in(const struct sockaddr *name)
{
    struct sockaddr_in copy;
    memcpy(&copy, name, sizeof(copy));
    struct engine_endpoint endpoint = {.family = ENGINE_IPV4, .port = ntohs(copy.sin_port)};
    memcpy(endpoint.addr, &copy.sin_addr, sizeof(copy.sin_addr));
    return endpoint;
}

/* The scope is the kernel's matter: mapped addresses have none, and Linux does not look. */
static struct engine_endpoint parse_in6(const struct sockaddr *name)
{
    struct sockaddr_in6 copy = {0};
    memcpy(&copy, name, offsetof(struct sockaddr_in6, sin6_scope_id));
    struct engine_endpoint endpoint = {.family = ENGINE_IPV6, .port = ntohs(copy.sin6_port)};
    memcpy(endpoint.addr, &copy.sin6_addr, sizeof(copy.sin6_addr));
    if (memcmp(endpoint.addr, mapped_prefix, sizeof(mapped_prefix)) != 0)
        return endpoint;
    endpoint.family = ENGINE_IPV4;
    memmove(endpoint.addr, endpoint.addr + sizeof(mapped_prefix), sizeof(struct in_addr));
    memset(endpoint.addr + sizeof(struct in_addr), 0, sizeof(mapped_prefix));
    return endpoint;
}

/* An AF_INET6 address may end before its scope, as in RFC 2133. */
int name_parse(const struct sockaddr *name, socklen_t size, bool inet6,
               struct engine_endpoint *endpoint)
{
    size_t least =
        inet6 ? offsetof(struct sockaddr_in6, sin6_scope_id) : sizeof(struct sockaddr_in);
    if (size > sizeof(struct sockaddr_storage))
        return -EINVAL;
    if (size > 0 && !engine_addressable(name))
        return -EFAULT;
    if (size < least)
        return -EINVAL;
    if (name->sa_family != (inet6 ? AF_INET6 : AF_INET))
        return -EAFNOSUPPORT;
    *endpoint = inet6 ? parse_in6(name) : parse_in(name);
    return 0;
}

int name_parse_local(const struct sockaddr *name, socklen_t size, bool inet6,
                     struct engine_endpoint *endpoint)
{
    int error = name_parse(name, size, inet6, endpoint);
    if (error != -EAFNOSUPPORT || inet6 || name->sa_family != AF_UNSPEC)
        return error;
    *endpoint = parse_in(name);
    return memcmp(endpoint->addr, zeros, sizeof(endpoint->addr)) == 0 ? 0 : -EAFNOSUPPORT;
}

int name_write(const struct engine_endpoint *endpoint, bool inet6, struct sockaddr *name,
               socklen_t *size)
{
    union name full;
    if (!engine_addressable(size))
        return -EFAULT;
    if ((int)*size < 0)
        return -EINVAL;
    if (*size > 0 && !engine_addressable(name))
        return -EFAULT;
    socklen_t full_size = name_of(endpoint, inet6, &full);
    memcpy(name, &full, *size < full_size ? *size : full_size);
    *size = full_size;
    return 0;
}

bool is_unspecified6(const struct engine_endpoint *endpoint)
{
    return endpoint->family == ENGINE_IPV6 &&
           memcmp(endpoint->addr, zeros, sizeof(endpoint->addr)) == 0;
}

struct engine_endpoint local_endpoint(struct engine_socket *socket,
                                      const struct engine_status *status)
{
    struct engine_endpoint local = status->local;
    bool unspecified = memcmp(local.addr, zeros, sizeof(local.addr)) == 0;
    if (engine_is_inet6(socket) && unspecified && !options_bound_mapped(socket))
        local.family = ENGINE_IPV6;
    return local;
}

static int local_name(struct engine_socket *socket, struct sockaddr *name, socklen_t *size)
{
    struct engine_status status = status_of(socket);
    struct engine_endpoint local = local_endpoint(socket, &status);
    return name_write(&local, engine_is_inet6(socket), name, size);
}

static int peer_name(struct engine_socket *socket, struct sockaddr *name, socklen_t *size)
{
    struct engine_status status = status_of(socket);
    return status.connected ? name_write(&status.remote, engine_is_inet6(socket), name, size)
                            : -ENOTCONN;
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
