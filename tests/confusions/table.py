"""All rows, and the tables of docs/confusions.md that show them."""

from __future__ import annotations

from confusions import Confusion, arrays, containers, images, scalars

KINDS = {
    "arrays": arrays.ROWS,
    "containers": containers.ROWS,
    "scalars": scalars.ROWS,
    "images": images.ROWS,
}
ROWS = tuple(row for rows in KINDS.values() for row in rows)

#: Where a report is found, by the name that rows give its repository.
REPOSITORIES = {
    "JImageHash": "KilianB/JImageHash",
    "Langchain-Chatchat": "chatchat-space/Langchain-Chatchat",
    "LightRAG": "HKUDS/LightRAG",
    "Minigrid": "Farama-Foundation/Minigrid",
    "ProbOS": "seangalliher/ProbOS",
    "Rapid-MLX": "raullenchai/Rapid-MLX",
    "SGLang": "sgl-project/sglang",
    "SciStudio": "jiazhenz026/SciStudio",
    "TensorRT-LLM": "NVIDIA/TensorRT-LLM",
    "aiida-core": "aiidateam/aiida-core",
    "aiocache": "aio-libs/aiocache",
    "bazel": "bazelbuild/bazel",
    "brython": "brython-dev/brython",
    "claripy": "angr/claripy",
    "cpython": "python/cpython",
    "ctl": "rurban/ctl",
    "dace": "spcl/dace",
    "dask": "dask/dask",
    "datasets": "huggingface/datasets",
    "dict_hash": "LucaCappelletti94/dict_hash",
    "django": "django/django",
    "dynamo": "ai-dynamo/dynamo",
    "exo": "exo-explore/exo",
    "fastmcp": "PrefectHQ/fastmcp",
    "FastDeploy": "PaddlePaddle/FastDeploy",
    "flask-caching": "pallets-eco/flask-caching",
    "github-flavored-markdown-to-html": "phseiff/github-flavored-markdown-to-html",
    "hamilton": "apache/hamilton",
    "hermes-agent": "NousResearch/hermes-agent",
    "joblib": "joblib/joblib",
    "microsoft-authentication-library-for-js": "AzureAD/microsoft-authentication-library-for-js",
    "ms-swift": "modelscope/ms-swift",
    "nengo": "nengo/nengo",
    "numba": "numba/numba",
    "numpy": "numpy/numpy",
    "oskari-server": "oskariorg/oskari-server",
    "pentect": "EdamAme-x/pentect",
    "prelude-ts": "emmanueltouzery/prelude-ts",
    "pydra": "nipype/pydra",
    "pymc": "pymc-devs/pymc",
    "pyresample": "pytroll/pyresample",
    "pyston_v1": "pyston/pyston_v1",
    "pytools": "inducer/pytools",
    "pytorch": "pytorch/pytorch",
    "simplejson": "simplejson/simplejson",
    "smg": "smg-project/smg",
    "streamlit": "streamlit/streamlit",
    "tessera": "ashita-ai/tessera",
    "ubelt": "Erotemic/ubelt",
    "vLLM": "vllm-project/vllm",
    "versioned-hdf5": "deshaw/versioned-hdf5",
}


def link(report: str) -> str:
    repository, number = report.split()
    return f"[{report}](https://github.com/{REPOSITORIES[repository]}/issues/{number})"


def lines_of(rows: tuple[Confusion, ...]) -> str:
    head = ["| the pair | must be | confused by | reported in |", "| --- | --- | --- | --- |"]
    lines = (
        f"| {row.what} | {row.verdict} | {row.careless} | "
        f"{', '.join(map(link, row.reports)) or 'found here'} |"
        for row in rows
    )
    return "\n".join([*head, *lines])


TABLES = {name: lambda rows=rows: lines_of(rows) for name, rows in KINDS.items()}
