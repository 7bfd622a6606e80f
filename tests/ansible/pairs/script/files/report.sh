#!/bin/bash
echo "arguments: $#: $1, $2"
echo done > /home/nvidia/report
