# The app in a container; docs/hosting.md says how to build and run it. tests/project/test_container.py checks this file and executes
# its steps without a container engine.
#   on a CPU:  docker build -t crop-explorer .
#   on a GPU:  docker build -t crop-explorer --build-arg HARDWARE=cuda .
ARG PYTHON=3.12
ARG HARDWARE=cpu

FROM python:${PYTHON}-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.txt constraints.txt ./

FROM base AS cpu
RUN pip install -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu torch

# pip's default torch includes CUDA; the driver comes from the host through the NVIDIA container toolkit.
FROM base AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip install -c constraints.txt torch

FROM ${HARDWARE} AS app
RUN pip install -c constraints.txt -r requirements.txt
COPY app.py LICENSE ./
COPY crop_core crop_core
COPY ui ui
COPY assets assets
RUN useradd --uid 1000 --create-home crop
ENV HOME=/home/crop HF_HOME=/home/crop/hub GRADIO_TEMP_DIR=/tmp/gradio CROP_HOST=0.0.0.0 CROP_PORT=7860
USER 1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=15m \
  CMD ["python", "-c", "import os, urllib.request as web; web.build_opener(web.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"CROP_PORT\"]}/readyz', timeout=8)"]
CMD ["python", "app.py"]
