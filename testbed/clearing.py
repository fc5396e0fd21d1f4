"""Clear a private engine of what was started on it, so that the next case begins where the last one did."""

import docker
import docker.errors


def remove_containers(client: docker.DockerClient) -> None:
    """Remove every container with its anonymous volumes, and the networks that nothing is in any more."""
    for container in client.api.containers(all=True):
        try:
            client.api.remove_container(container["Id"], force=True, v=True)
        except docker.errors.APIError:  # it is being removed already
            continue
    client.networks.prune()
