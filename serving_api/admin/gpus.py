"""Cards and queue over HTTP."""

from contracts.access import ResourceKind
from contracts.gpus import GpuState
from serving_api.admin.routers import admin_router
from serving_api.authentication import ServicesParameter
from serving_api.permissions import permit
from stages.gpus import gpu_state

router = admin_router("gpus")


@router.get("/gpus", dependencies=[permit(ResourceKind.GPU, "read")])
def get_gpus(services: ServicesParameter) -> GpuState:
    """Who holds which card, and which jobs wait, in the order of their turns."""
    return gpu_state(services)
