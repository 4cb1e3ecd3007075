from .betti_matching import compute_topo_score as compute_topo_score
from .betti_numbers import compute_betti_numbers as compute_betti_numbers
from .score import compute_metrics as compute_metrics
from .score import compute_score as compute_score
from .surface import compute_dice as compute_dice
from .surface import compute_surface_agreement as compute_surface_agreement
from .topology_errors import find_topology_errors as find_topology_errors
from .variation_of_information import compute_voi as compute_voi
