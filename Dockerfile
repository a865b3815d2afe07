# The command fedn, with the versions that are tested together (constraints.txt). docs/start.md tells how to run it.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
# Empty: pip's own index, whose torch brings CUDA. PyTorch's index of CPU builds makes an image a third as large.
ARG TORCH_INDEX=""
RUN python -m venv /opt/fedn \
 && /opt/fedn/bin/pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch==2.13.0
COPY constraints.txt pyproject.toml MANIFEST.in README.md LICENSE CHANGELOG.md CITATION.cff ./
COPY src src
RUN /opt/fedn/bin/pip install --no-cache-dir -c constraints.txt ".[onnx,review]"

FROM python:3.11-slim-bookworm
COPY --from=build /opt/fedn /opt/fedn
RUN useradd --create-home --uid 1000 fedn && install --directory --owner fedn /work
USER 1000
WORKDIR /work
ENV PATH=/opt/fedn/bin:$PATH
ENTRYPOINT ["fedn"]
CMD ["--help"]
