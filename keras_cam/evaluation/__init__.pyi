from .folder import PageError, results_folder
from .protocols import PROTOCOLS, Protocol
from .result_parts import ResultParts
from .results import Evaluation, ImageResult, mcnemar_p_value
from .run import evaluate
from .table import evaluation_table, format_table

__all__ = [
    "PROTOCOLS",
    "Evaluation",
    "ImageResult",
    "PageError",
    "Protocol",
    "ResultParts",
    "evaluate",
    "evaluation_table",
    "format_table",
    "mcnemar_p_value",
    "results_folder",
]
