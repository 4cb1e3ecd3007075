from . import events as events
from . import losses as losses
from . import metrics as metrics
from .api import (
    Run as Run,
)
from .api import (
    evaluate as evaluate,
)
from .api import (
    export as export,
)
from .api import (
    load_experiment as load_experiment,
)
from .api import (
    open_run as open_run,
)
from .api import (
    predict as predict,
)
from .api import (
    train as train,
)
from .data.open import open_volume as open_volume
from .data.volume import Volume as Volume

__version__: str
